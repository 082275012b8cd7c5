"""The conditions beyond ImageNet-C, in the order in which light meets them."""

from causal_iqa.degradations import (
    _atmosphere,
    _colour,
    _compression,
    _exposure,
    _geometry,
    _mosaic,
    _occlusion,
    _optics,
    _point_spread,
    _resolution,
    _sensor,
    _webp,
)

SPECS = (
    _atmosphere.SPECS
    + _occlusion.SPECS
    + _geometry.SPECS
    + _optics.SPECS
    + _point_spread.SPECS
    + _exposure.SPECS
    + _sensor.SPECS
    + _mosaic.SPECS
    + _colour.SPECS
    + _resolution.SPECS
    + _compression.SPECS
    + _webp.SPECS
)
