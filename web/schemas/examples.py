"""How a record or a body shows an example of itself in `/openapi.json`."""

from pydantic import ConfigDict, JsonValue


def example(**shown: JsonValue) -> ConfigDict:
    """The `model_config` of a model with one example."""
    return ConfigDict(json_schema_extra={"examples": [shown]})
