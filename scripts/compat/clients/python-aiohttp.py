# aiohttp.
import asyncio, sys, aiohttp


async def main():
    async with aiohttp.ClientSession() as session, session.ws_connect(sys.argv[1]) as socket:
        print("open", flush=True)
        async for message in socket:
            print("message", message.data, flush=True)
        print("closed", socket.close_code, flush=True)


asyncio.run(main())
