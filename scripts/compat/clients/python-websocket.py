# websocket-client.
import sys, websocket

app = websocket.WebSocketApp(
    sys.argv[1],
    on_open=lambda ws: print("open", flush=True),
    on_message=lambda ws, text: print("message", text, flush=True),
    on_close=lambda ws, code, text: print("closed", code, flush=True),
    on_error=lambda ws, error: print(repr(error), file=sys.stderr),
)
app.run_forever()
