"""Services that refuse a key."""

DENIED = b'{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}'


async def denied(request, reply):
    await reply.whole(DENIED, 403)


async def denied_inside(request, reply):
    await reply.whole(DENIED)
