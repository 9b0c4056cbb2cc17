"""The executor of HFPusher: reads the artifacts; `contents` and `push` do the rest."""

import tempfile
from pathlib import Path
from typing import Any

from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.types.standard_component_specs import PUSHED_MODEL_KEY
from tfx.utils import io_utils

from components.examples_io import read_examples
from components.hf_pusher.contents import Source
from components.hf_pusher.push import push_round
from components.hf_pusher.settings import PushSettings
from core import artifact_files
from core.progress import progress
from core.reports.coverage import CoverageReport
from core.reports.loop import PushRecord
from core.reports.synthesis import SynthesisRecord
from core.storage import read_text
from task.privacy import PrivacySettings
from task.task import Task

EXPORTS_KEY = "exports"
REPORT_KEY = "report"
SYNTHETIC_KEY = "synthetic"
SETTINGS_KEY = "settings"
TASK_KEY = "task"
PRIVACY_KEY = "privacy"
ROUND_KEY = "round"
CODE_VERSION_KEY = "code_version"


class Executor(pusher_executor.Executor):
    """Pushes the model when it was blessed, and records the destination either way."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `HFPusher`.

        Raises:
            PushError: The push did not end; a rerun completes it.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed_model = artifact_utils.get_single_instance(output_dict[PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed_model)
            progress.info("not pushed: the model was not blessed")
            return
        with tempfile.TemporaryDirectory(prefix="understudy-push-") as scratch:
            model_dir = _local_copy(self.GetModelPath(input_dict), Path(scratch) / "model")
            exports_uri = artifact_utils.get_single_uri(input_dict[EXPORTS_KEY])
            exports_dir = _local_copy(exports_uri, Path(scratch) / "exports")
            pushed = push_round(
                PushSettings.model_validate_json(exec_properties[SETTINGS_KEY]),
                _source(input_dict, exec_properties, model_dir, exports_dir),
                runs_on_this_machine="://" not in pushed_model.uri,
            )
        self._record(pushed_model, pushed)

    def _record(self, pushed_model: Artifact, pushed: PushRecord) -> None:
        io_utils.write_string_file(f"{pushed_model.uri}/{artifact_files.PUSHED}", pushed.to_json())
        self._MarkPushed(pushed_model, pushed.destination, pushed.tag)
        pushed_model.set_string_custom_property("destination", pushed.destination)
        pushed_model.set_string_custom_property("version", pushed.tag)


def _source(
    input_dict: dict[str, list[Artifact]],
    exec_properties: dict[str, Any],
    model_dir: Path,
    exports_dir: Path,
) -> Source:
    report_uri = artifact_utils.get_single_uri(input_dict[REPORT_KEY])
    synthetic = artifact_utils.get_single_instance(input_dict[SYNTHETIC_KEY])
    splits = artifact_utils.decode_split_names(synthetic.split_names)
    return Source(
        task=Task.model_validate_json(exec_properties[TASK_KEY]),
        round=int(exec_properties[ROUND_KEY]),
        model_dir=model_dir,
        exports_dir=exports_dir,
        report=CoverageReport.read(f"{report_uri}/{artifact_files.COVERAGE_REPORT}"),
        verdicts=read_text(f"{report_uri}/{artifact_files.VERDICTS}").encode(),
        synthesis=SynthesisRecord.read(f"{synthetic.uri}/{artifact_files.SYNTHESIS}"),
        dataset_card=read_text(f"{synthetic.uri}/{artifact_files.CARD}"),
        rows={split: read_examples(synthetic.uri, split) for split in sorted(splits)},
        privacy=PrivacySettings.model_validate_json(exec_properties.get(PRIVACY_KEY) or "{}"),
    )


def _local_copy(uri: str, folder: Path) -> Path:
    """Return the folder of a local URI itself, or a copy of a remote one."""
    if "://" not in uri:
        return Path(uri)
    if not fileio.exists(uri):
        return folder  # object stores keep no empty folders
    io_utils.copy_dir(uri, str(folder))
    return folder
