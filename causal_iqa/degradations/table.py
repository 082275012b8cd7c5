"""The table of degradations: every imaging condition, its parameters and its properties."""

from causal_iqa import _tables
from causal_iqa.degradations import (
    _blur,
    _camera,
    _digital,
    _elastic,
    _frost,
    _glass,
    _jpeg,
    _noise,
    _snow,
    _spatter,
    _weather,
    _zoom,
)

TABLE = _tables.Table(
    "degradation",
    _noise.SPECS
    + _blur.SPECS
    + _zoom.SPECS
    + _glass.SPECS
    + _weather.SPECS
    + _snow.SPECS
    + _frost.SPECS
    + _spatter.SPECS
    + _digital.SPECS
    + _elastic.SPECS
    + _jpeg.SPECS
    + _camera.SPECS,
)
