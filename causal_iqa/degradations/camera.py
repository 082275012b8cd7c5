"""The conditions beyond ImageNet-C, in the order in which light meets them."""

from causal_iqa.degradations import (
    atmosphere,
    colour,
    compression,
    exposure,
    geometry,
    mosaic,
    occlusion,
    optics,
    point_spread,
    resolution,
    sensor,
    webp,
)

SPECS = (
    atmosphere.SPECS
    + occlusion.SPECS
    + geometry.SPECS
    + optics.SPECS
    + point_spread.SPECS
    + exposure.SPECS
    + sensor.SPECS
    + mosaic.SPECS
    + colour.SPECS
    + resolution.SPECS
    + compression.SPECS
    + webp.SPECS
)
