# modes: standard
import asyncio
class Timer:
    async def __aenter__(self):
        print("on")
        return self
    async def __aexit__(self, *details):
        print("off")
async def ticks(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i
async def main():
    async with Timer():
        print([i async for i in ticks(3)])
        async for i in ticks(1):
            print(i)
asyncio.run(main())
