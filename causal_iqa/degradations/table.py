"""The table of degradations: every imaging condition, its parameters and what to expect of it."""

from causal_iqa.degradations import (
    blur,
    camera,
    digital,
    elastic,
    frost,
    glass,
    jpeg,
    noise,
    snow,
    spatter,
    spec,
    weather,
)

TABLE = spec.table_of(
    noise.SPECS
    + blur.SPECS
    + glass.SPECS
    + weather.SPECS
    + snow.SPECS
    + frost.SPECS
    + spatter.SPECS
    + digital.SPECS
    + elastic.SPECS
    + jpeg.SPECS
    + camera.SPECS
)
