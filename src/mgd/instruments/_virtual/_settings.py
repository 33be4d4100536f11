"""How a virtual chip is served, as it stands in a chip file. Nothing here imports JAX."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Number = Annotated[float, Field(ge=-3e38, le=3e38, allow_inf_nan=False, strict=True)]


class ServeSettings(BaseModel):
    """The `[serve]` table: the piece that is served, its line, and the faults of the line.

    The faults are probabilities for each message. A garbled reply can always be recognised (it is cut short, or has
    broken bytes in a number or a block's length), because a changed digit cannot be, without a checksum.

    Attributes:
        seed: the seed of the piece, its noise and the faults.
        serial: its serial number; by default the seed.
        limits: the limits of its parameters; by default those of its converters, or −10 … 10.
        latency_seconds: the time before each reply.
        jitter_seconds: the largest extra time, evenly distributed.
        drop: the message is ignored, and no reply comes.
        late: the reply comes `late_seconds` later.
        late_seconds: the delay of a late reply.
        disconnect: the connection is closed, before or after the message is processed.
        garble: the reply is broken.
        double: the reply comes a second time, `double_seconds` later, when the next reply may be due.
        double_seconds: the delay of the second reply.
        reset: the chip resets itself, as after a short failure of its supply, before the message is processed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] = 0
    serial: Annotated[str, Field(min_length=1, pattern=r"^[^,;\s\"]+$", strict=True)] | None = None
    limits: tuple[Number, Number] | None = None
    latency_seconds: Seconds = 0.0
    jitter_seconds: Seconds = 0.0
    drop: Share = 0.0
    late: Share = 0.0
    late_seconds: Seconds = 1.0
    disconnect: Share = 0.0
    garble: Share = 0.0
    double: Share = 0.0
    double_seconds: Seconds = 0.001
    reset: Share = 0.0

    @model_validator(mode="after")
    def _check(self) -> "ServeSettings":
        total = self.drop + self.late + self.disconnect + self.garble + self.double + self.reset
        if total > 1:
            raise ValueError(f"drop, late, disconnect, garble, double and reset must sum to 1 or less, got {total:g}")
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            raise ValueError(f"limits must be low and high with low < high, got {list(self.limits)}")
        return self
