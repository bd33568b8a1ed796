# caught: static
import asyncio, sys
async def main():
    p = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    return await p.wait() == 0
reached = asyncio.run(main())
