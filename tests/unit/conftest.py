"""How the property tests search."""

from hypothesis import HealthCheck, settings

# One machine's slow moment is no failure; the same examples every time, so that a red run can be repeated.
settings.register_profile(
    "pullagent",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("pullagent")
