"""The errors of the demo.

DemoError
├── DamagedArtifacts    the shipped files are not the ones that the manifest names
├── TrainingUnavailable the packages that training needs are not installed
└── EndpointError       the endpoint that was to be scored does not answer as an OpenAI endpoint should
"""

from patchbay.core.errors import PatchbayError


class DemoError(PatchbayError):
    """The root of the demo's errors: its models cannot be made or scored."""


class DamagedArtifacts(DemoError):
    """The shipped files are not the ones that the manifest names."""


class TrainingUnavailable(DemoError):
    """The packages that training needs are not installed."""


class EndpointError(DemoError):
    """The endpoint that was to be scored does not answer as an OpenAI endpoint should."""
