# caught: static
import asyncio
async def main():
    p = await asyncio.create_subprocess_exec("true")
    return await p.wait() == 0
reached = asyncio.run(main())
