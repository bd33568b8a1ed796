# modes: standard
import asyncio
async def work(name, delay):
    await asyncio.sleep(delay)
    return f"{name} done"
async def main():
    print(await asyncio.gather(work("a", 0.002), work("b", 0.001)))
    try:
        await asyncio.wait_for(asyncio.sleep(5), timeout=0.005)
    except asyncio.TimeoutError:
        print("timed out")
asyncio.run(main())
