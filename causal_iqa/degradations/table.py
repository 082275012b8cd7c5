"""The table of degradations: every imaging condition, its parameters and what to expect of it."""

from causal_iqa.degradations import blur, digital, jpeg, noise, spec, weather

TABLE = spec.table_of(noise.SPECS + blur.SPECS + weather.SPECS + digital.SPECS + jpeg.SPECS)
