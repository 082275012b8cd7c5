"""Which degradations move what the picture shows, so that boxes and masks of the clean image no longer fit."""

from causal_iqa.degradations import Condition

# Every place of the result shows another place of the image, and the place follows from the key.
GEOMETRIC = ("elastic_transform", "lens_distortion", "rolling_shutter", "rotation", "scale", "translation")


def moves(condition: Condition) -> tuple[str, ...]:
    """Returns the geometric degradations of a condition."""
    return tuple(step.name for step in condition.steps if step.name in GEOMETRIC and step.severity > 0)


def of_annotations(condition: Condition) -> str:
    """Says whether boxes and masks of the clean images fit the copies of a condition."""
    found = moves(condition)
    if not found:
        return "those of the clean images fit"
    return f"those of the clean images do not fit: {', '.join(found)} moves the content of the picture"


def remark(conditions: tuple[Condition, ...]) -> str | None:
    """Returns a line on the conditions of a tree that move boxes and masks; None when none does."""
    found = sorted({name for condition in conditions for name in moves(condition)})
    if not found:
        return None
    return (
        f"{', '.join(found)}: these move what the picture shows: boxes and masks of the clean images do not fit these "
        "copies; --boxes and --masks write moved ones"
    )
