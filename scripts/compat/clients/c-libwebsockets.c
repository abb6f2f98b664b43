// libwebsockets. Built with: cc c-libwebsockets.c -lwebsockets
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int done;
static char text[1 << 20];
static size_t have;

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len) {
  (void)user;
  switch (reason) {
  case LWS_CALLBACK_CLIENT_ESTABLISHED:
    puts("open");
    break;
  case LWS_CALLBACK_CLIENT_RECEIVE:
    if (have + len < sizeof text) memcpy(text + have, in, len), have += len;
    if (lws_is_final_fragment(wsi) && !lws_remaining_packet_payload(wsi)) {
      printf("message %.*s\n", (int)have, text);
      have = 0;
    }
    break;
  case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    printf("closed %d\n", len >= 2 ? ((unsigned char *)in)[0] << 8 | ((unsigned char *)in)[1] : 1005);
    done = 1;
    break;
  case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    fprintf(stderr, "%s\n", in ? (char *)in : "connection error");
    exit(1);
  case LWS_CALLBACK_CLIENT_CLOSED:
    if (!done) puts("closed 1006");
    done = 1;
    break;
  default:
    break;
  }
  return 0;
}

int main(int argc, char **argv) {
  (void)argc;
  setvbuf(stdout, NULL, _IOLBF, 0);
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_protocols protocols[] = {{.name = "compat", .callback = callback, .rx_buffer_size = 65536}, {0}};
  struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols, .gid = -1, .uid = -1};
  struct lws_context *context = lws_create_context(&info);
  const char *scheme, *host, *path;
  int port;
  static char full[16384];
  if (lws_parse_uri(argv[1], &scheme, &host, &port, &path)) return 1;
  snprintf(full, sizeof full, "/%s", path);
  struct lws_client_connect_info connect = {.context = context, .address = host, .port = port, .path = full, .host = host, .origin = NULL,
      .ietf_version_or_minus_one = -1};
  lws_client_connect_via_info(&connect);
  while (!done && lws_service(context, 100) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}
