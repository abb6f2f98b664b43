# QtWebSockets, through PyQt5.
import sys
from PyQt5.QtCore import QCoreApplication, QUrl
from PyQt5.QtWebSockets import QWebSocket

app = QCoreApplication(sys.argv)
socket = QWebSocket()
socket.connected.connect(lambda: print("open", flush=True))
socket.textMessageReceived.connect(lambda text: print("message", text, flush=True))


def closed():
    print("closed", int(socket.closeCode()), flush=True)
    app.quit()


socket.disconnected.connect(closed)
socket.open(QUrl(sys.argv[1]))
app.exec_()
