"""What defines the conditions of a study at a size of images: parameters, remarks, passports."""

from typing import Any

from causal_iqa import degradations
from causal_iqa.pipeline.config import StudyConfig


def degradation_details(config: StudyConfig, image_size: int) -> dict[str, Any]:
    """Describes what defines the conditions of a study.

    Args:
      config: the study.
      image_size: side in pixels of the images that are degraded.

    Returns:
      {"family", "quantise", "stored", "conditions": what is done, "passports": of the degradations, "remarks": lines
      that a user should read}, JSON values.

    Raises:
      InputError: when texture files are missing.
    """
    interventions = config.interventions_at(image_size)
    for condition in interventions:
        degradations.do_graded(condition)  # Refuses missing texture files now, not after minutes.
    specs = {step.name: degradations.TABLE[step.name] for condition in config.conditions for step in condition.steps}
    by_size = any(set(spec.parameters) & set(degradations.FAMILIES) for spec in specs.values())
    near = degradations.nearest_family(image_size, image_size)
    families = {condition.family or near for condition in interventions[1:]} if by_size else set()
    remarks = []
    if by_size and any(
        one.family != other.family for one, other in zip(interventions, config.interventions, strict=True)
    ):
        remarks.append(
            f"degradations: no parameters are published for images of about {image_size} pixels; those of {near} are "
            f"taken, published for {degradations.FAMILIES[near]} pixels (--family chooses others)"
        )
    return {
        "family": ", ".join(sorted(families)) or None,
        "quantise": config.quantise,
        "stored": config.stored,
        "conditions": [condition.to_json() for condition in interventions],
        "passports": {name: spec.passport() for name, spec in specs.items()},
        "remarks": remarks,
    }
