"""What `config.yaml` says of the application."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sales_assets.forecasting.release import Release
from sales_assets.settings import Settings


class Arguments(BaseModel):
    """The fields of `args`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path = Field(Path("var"), description="The home whose release answers.")
    release_url: str = Field("", description="Where releases are copied from, if elsewhere.")
    members: dict[str, list[str]] = Field(description="Which deployment has which members.")
    threads: int = Field(1, ge=1, description="Threads of each replica.")
    member_timeout_s: float = Field(2.0, gt=0, description="What a member may take.")
    load_timeout_s: float = Field(120.0, gt=0, description="What loading a release may take.")
    poll_s: float = Field(5.0, gt=0, description="How often a new release is looked for.")
    needs_key: bool = Field(True, description="Whether callers need a key even if there is none.")
    requests_per_second: float = Field(50.0, gt=0, description="What a caller may ask for.")
    burst: int = Field(100, ge=1, description="What a caller may ask for at once.")
    max_in_flight: int = Field(16, ge=1, description="Requests worked on at a time.")
    max_standing: int = Field(2, ge=1, description="The same where a queue stands.")
    journal_mb: int = Field(200, ge=1, description="What `served/` may take, in MB.")

    def settings(self, release: Release | None = None) -> Settings:
        """Return the settings of the home, with the horizon of a release."""
        values: dict[str, Any] = {"home": self.home, "threads": self.threads}
        if release:
            values["horizon"] = release.horizon
        return Settings.load().model_copy(update=values)
