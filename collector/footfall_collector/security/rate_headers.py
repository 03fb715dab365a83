"""Limits as HTTP says them: draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026), RFC 9110 `Retry-After`.

    RateLimit-Policy: "user";q=120;w=60, "address";q=1200;w=60
    RateLimit: "user";r=119;t=60

The draft's form of the two fields is that of its versions since -08. What is left to an address is told to
those alone whom it refuses: it would tell each of them how much the others behind it send (section 8.2).
"""

from footfall_collector.security.limits import Limits, Verdict

WINDOW_S = 60


def rate_headers(limits: Limits, verdict: Verdict) -> list[tuple[str, str]]:
    """The fields of an answer, whatever its status.

    Args:
        limits: In force.
        verdict: Of the request.

    Returns:
        Names and values; `Retry-After` of a refused request, never before the quota is anew. None where
        nothing limits it.
    """
    if not verdict.policy:
        return []
    policies = ", ".join(f'"{p.name}";q={p.limit};w={WINDOW_S}' for p in limits.policies)
    service = f'"{verdict.policy}";r={verdict.remaining};t={verdict.reset}'
    found = [("RateLimit-Policy", policies), ("RateLimit", service)]
    if not verdict.allowed:
        found.append(("Retry-After", str(verdict.retry_after)))
    return found
