"""Aligns image quality with the performance of vision networks, causally.

Data flows one way: data -> degradations -> (metrics, backbones -> dependence -> quality) -> alignment; `causal`
says what to expect, `pipeline` compiles the flow and `report` shows it. Each room is imported by name
(`from causal_iqa import metrics`), so importing the package costs nothing.
"""

from causal_iqa._errors import InputError

__version__ = "0.1.0"
__all__ = ["InputError", "__version__"]
