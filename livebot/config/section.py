"""What every section of the config is: frozen, and closed to keys it does not know."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping in the config file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False)
