# websockets.
import asyncio, sys, websockets


async def main():
    async with websockets.connect(sys.argv[1]) as socket:
        print("open", flush=True)
        try:
            while True:
                print("message", await socket.recv(), flush=True)
        except websockets.ConnectionClosed:
            print("closed", socket.close_code, flush=True)


asyncio.run(main())
