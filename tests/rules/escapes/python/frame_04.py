# caught: static
async def a():
    yield
reached = a().ag_frame
