"""The DAG of one round; both runners build it with `create_pipeline`."""

from collections.abc import Callable
from typing import Any, Literal

from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.transform.component import Transform
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline
from tfx.types import artifact_utils, standard_artifacts

from components.coverage_example_gen.component import CoverageExampleGen
from components.exporter.component import Exporter
from components.hf_pusher.component import HFPusher
from components.llm_evaluator.component import LLMEvaluator
from components.llm_evaluator.executor import INPUTS
from components.response_gen.component import ResponseGen
from components.synth_data_gen.component import SynthDataGen
from components.trainer.component import Trainer
from core.records import LOOP_SPLITS
from core.reports.coverage import BASE, FEW_SHOT, TUNED
from core.synthetic_records import SYNTHETIC_SPLITS
from pipeline.code_version import code_version
from pipeline.config import Config
from pipeline.edits import Edits
from pipeline.labels import labels_version
from pipeline.schema import SCHEMA_FILE, SchemaGen

EXPORT_FN = "models.export.exports.export_fn"
GENERATE_FN = "models.generation.generate.generate_fn"
PREPROCESSING_FN = "models.preprocessing.preprocessing_fn"
RUN_FN = "models.training.run_fn.run_fn"

# The small rounds of this pipeline are slower with more workers; and newer Beams would first try to
# download a runner binary.
LOCAL_BEAM_ARGS = (
    "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
    # Nothing reads it here. Without it TFX packs itself for remote workers, for each component
    # again: seconds, and 52 MB that stay in the temporary folder.
    "--sdk_container_image=none",
)

Parameter = Callable[[str, str], str | RuntimeParameter]
Until = Literal["synth", "evaluate", "export", "push"]


def create_pipeline(
    config: Config,
    *,
    pipeline_root: str,
    journal_uri: str,
    checkpoint_uri: str,
    coverage_dir: str,
    schema_file: str,
    round: int | RuntimeParameter,
    history_uri: str | RuntimeParameter,
    report_uri: str | RuntimeParameter,
    warm_start_uri: str | RuntimeParameter = "",
    looks: int | RuntimeParameter = 0,
    edits: Edits | None = None,
    rows_uri: str = "",
    until: Until = "push",
    parameter: Parameter = lambda name, value: value,
    beam_pipeline_args: tuple[str, ...] = LOCAL_BEAM_ARGS,
    metadata_connection_config: Any = None,
) -> Pipeline:
    """Build the pipeline of one round.

    Args:
        config: The configuration; nothing else decides what the components do.
        pipeline_root: Local folder or `gs://` URI of the artifacts.
        journal_uri: Folder or `gs://` URI where replies of the service LLM are kept.
        checkpoint_uri: Folder or `gs://` URI where the checkpoints of a training are kept.
        coverage_dir: Folder or `gs://` URI of the coverage dataset.
        schema_file: Path or URI of the schema of the synthetic examples.
        round: Number of the round, from 1.
        history_uri: The synthetic Examples of the round before; empty in round 1.
        report_uri: The CoverageReport of the round before; empty in round 1.
        warm_start_uri: The Model that the training starts from; empty for the base model.
        looks: Rounds of a loop that has ended and keeps this round; 0 while it has not.
        edits: What a person did with the rows of the round; None where the run did not pause.
        rows_uri: Synthetic Examples to train on in place of new ones; then no prompt of the test
            split is answered.
        until: Where the pipeline ends: after the rows (`synth`) or the evaluation (`evaluate`),
            before the push (`export`), or at its end.
        parameter: Given the name and the value of a setting that one may want to change for a
            single run, returns what the component receives: the value, or a runtime parameter.
        beam_pipeline_args: Options for the components that run on Beam.
        metadata_connection_config: Where a local runner keeps its metadata.

    Returns:
        A pipeline with caching on, to be given to a runner.
    """
    coverage = CoverageExampleGen(
        input_base=parameter("coverage_dir", coverage_dir),
        privacy=config.privacy.model_dump_json(),
        code_version=_version(CoverageExampleGen),
    )

    def pipeline_of(*components: BaseComponent) -> Pipeline:
        return Pipeline(
            pipeline_name=config.name,
            pipeline_root=pipeline_root,
            components=list(components),
            enable_cache=True,
            beam_pipeline_args=list(beam_pipeline_args),
            metadata_connection_config=metadata_connection_config,
        )

    embedder = config.embedder.model_dump_json() if config.embedder else ""
    synth = SynthDataGen(
        coverage=coverage.outputs["examples"],
        service_llm=config.service_llm.model_dump_json(),
        embedder=embedder,
        judge_llm=config.judge_llm.model_dump_json() if config.synth.leak_judge else "",
        settings=parameter("synth", config.synth.model_dump_json()),
        task=config.task.model_dump_json(),
        journal_uri=journal_uri,
        round=round,
        history_uri=history_uri,
        report_uri=report_uri,
        paused_uri=edits.paused_uri if edits else "",
        edits_uri=edits.uri if edits else "",
        edits_version=edits.version if edits else "",
        # Rows without edits do not depend on it: no other settings for their cached output.
        privacy=config.privacy.model_dump_json() if edits else "",
        code_version=_version(SynthDataGen),
    )
    if until == "synth":
        return pipeline_of(coverage, synth)
    rows = _kept_rows(rows_uri) if rows_uri else synth
    data = _data_components(config, rows, schema_file)
    hparams = parameter("training", config.training.model_dump_json())
    trainer = Trainer(
        run_fn=RUN_FN,
        examples=data["Transform"].outputs["transformed_examples"],
        transform_graph=data["Transform"].outputs["transform_graph"],
        preset=config.training.preset,
        hparams=hparams,
        custom_config={
            "checkpoint_dir": checkpoint_uri,
            "code_version": _version(Trainer, RUN_FN),
        },
        warm_start_uri=warm_start_uri,
    )
    responses = _response_components(
        config, parameter, coverage, trainer, splits=",".join(LOOP_SPLITS) if rows_uri else ""
    )
    for model in (BASE, FEW_SHOT):
        if model in responses:
            # Minutes of generation are not spent before the service LLM was found to work.
            responses[model].add_upstream_node(rows)
    evaluator = LLMEvaluator(
        **{INPUTS[model]: node.outputs["responses"] for model, node in responses.items()},
        service_llm=config.service_llm.model_dump_json(),
        judge_llm=config.judge.model_dump_json() if config.judge else "",
        embedder=embedder,
        settings=parameter("evaluator", config.evaluator.model_dump_json()),
        task=config.task.model_dump_json(),
        journal_uri=journal_uri,
        round=round,
        report_uri=report_uri,
        labels_version=labels_version(config.evaluator.labels_uri),
        looks=looks,
        code_version=_version(LLMEvaluator),
    )
    until_evaluation = [coverage, rows, *data.values(), trainer, *responses.values(), evaluator]
    if until == "evaluate":
        return pipeline_of(*until_evaluation)
    exporter = Exporter(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        examples=data["Transform"].outputs["transformed_examples"],
        export_fn=EXPORT_FN,
        hparams=hparams,
        code_version=_version(Exporter, EXPORT_FN),
    )
    if until == "export":
        return pipeline_of(*until_evaluation, exporter)
    pusher = HFPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        exports=exporter.outputs["exports"],
        report=evaluator.outputs["report"],
        synthetic=synth.outputs["synthetic"],
        settings=config.push_settings.model_dump_json(),
        task=config.task.model_dump_json(),
        round=round,
        privacy=config.privacy.model_dump_json(),
        code_version=_version(HFPusher),
    )
    return pipeline_of(*until_evaluation, exporter, pusher)


def _version(component: type[BaseComponent], *functions: str) -> str:
    """Return the version of a component's code and of the functions it loads by import path."""
    return code_version(component.__module__, *functions)


def _kept_rows(uri: str) -> Importer:
    """Make the node of rows that an earlier round has written, and that were validated then."""
    splits = artifact_utils.encode_split_names(list(SYNTHETIC_SPLITS))
    rows = Importer(
        source_uri=uri,
        artifact_type=standard_artifacts.Examples,
        properties={"split_names": splits},
        output_key="synthetic",
    )
    return rows.with_id("KeptRows")


def _data_components(
    config: Config, rows: SynthDataGen | Importer, schema_file: str
) -> dict[str, BaseComponent]:
    examples = rows.outputs["synthetic"]
    statistics = StatisticsGen(examples=examples)
    schema = SchemaGen(schema_file, version=code_version(SCHEMA_FILE))
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    transform = Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        preprocessing_fn=PREPROCESSING_FN,
        disable_statistics=True,
        custom_config={
            "preset": config.training.preset,
            "code_version": code_version(PREPROCESSING_FN),
        },
    )
    nodes = (statistics, schema, validator, transform)
    return {node.id: node for node in nodes}


def _response_components(
    config: Config,
    parameter: Parameter,
    coverage: CoverageExampleGen,
    trainer: Trainer,
    *,
    splits: str,
) -> dict[str, BaseComponent]:
    """Make a ResponseGen for each model whose responses are judged, by the model's name."""
    shared = {
        "coverage": coverage.outputs["examples"],
        "generate_fn": GENERATE_FN,
        "max_prompts": str(config.evaluator.max_prompts or ""),
        "code_version": _version(ResponseGen, GENERATE_FN),
    }
    settings = parameter("generation", config.generation.model_dump_json())
    nodes = {
        TUNED: ResponseGen(
            model=trainer.outputs["model"], settings=settings, splits=splits, **shared
        )
    }
    shared |= {
        "preset": config.training.preset,
        "sample": str(config.evaluator.max_baseline_prompts or ""),
    }
    if BASE in config.evaluator.baselines:
        nodes[BASE] = ResponseGen(settings=settings, **shared).with_id("BaseResponseGen")
    if FEW_SHOT in config.evaluator.baselines:
        settings = parameter("few_shot_generation", config.few_shot_generation.model_dump_json())
        nodes[FEW_SHOT] = ResponseGen(settings=settings, **shared).with_id("FewShotResponseGen")
    return nodes
