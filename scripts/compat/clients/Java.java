// The HttpClient of the JDK.
import java.net.URI;
import java.net.http.*;
import java.util.concurrent.*;

public class Java {
    public static void main(String[] args) throws Exception {
        var done = new CountDownLatch(1);
        System.setOut(new java.io.PrintStream(System.out, true, "UTF-8"));
        HttpClient.newHttpClient().newWebSocketBuilder().buildAsync(URI.create(args[0]), new WebSocket.Listener() {
            final StringBuilder text = new StringBuilder();

            public void onOpen(WebSocket socket) {
                System.out.println("open");
                socket.request(1);
            }

            public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
                text.append(part);
                if (last) {
                    System.out.println("message " + text);
                    text.setLength(0);
                }
                socket.request(1);
                return null;
            }

            public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
                System.out.println("closed " + code);
                done.countDown();
                return null;
            }

            public void onError(WebSocket socket, Throwable error) {
                System.err.println(error);
                done.countDown();
            }
        }).join();
        done.await();
        System.exit(0);
    }
}
