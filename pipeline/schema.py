"""The schema of the synthetic examples, as a node whose cache key knows the file's content."""

from typing import ClassVar

from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.types import standard_artifacts
from tfx.types.channel import Channel
from tfx.types.component_spec import ExecutionParameter
from tfx.types.standard_component_specs import ImportSchemaGenSpec

SCHEMA_FILE = "pipeline/schema.pbtxt"


class SchemaGenSpec(ImportSchemaGenSpec):
    """TFX's parameters and the version of the file's content."""

    PARAMETERS: ClassVar = {
        **ImportSchemaGenSpec.PARAMETERS,
        "version": ExecutionParameter(type=str),
    }


class SchemaGen(ImportSchemaGen):
    """TFX's ImportSchemaGen, which by itself does not notice that its file was edited.

    Outputs:
        schema: Schema.
    """

    SPEC_CLASS = SchemaGenSpec

    def __init__(self, schema_file: str, *, version: str) -> None:
        """Construct the component.

        Args:
            schema_file: Path or URI of the schema.
            version: Content hash of it; only there for TFX's cache.
        """
        spec = SchemaGenSpec(
            schema_file=schema_file,
            version=version,
            schema=Channel(type=standard_artifacts.Schema),
        )
        # ImportSchemaGen.__init__ builds its own spec, which knows no version.
        BaseComponent.__init__(self, spec=spec)
