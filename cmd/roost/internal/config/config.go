package config

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
)

// Config is every variable that roost reads. Each field carries its variable's name (envconfig), its default, what it
// does (desc), what a right value looks like (want; durations and booleans need none), whether it is to be masked
// (secret), and whether it can change while roost runs (reload).
//
// A variable's meaning is said once, in its desc: `roost config` and the documentation print that text.
type Config struct {
	RoostConfigFile string `envconfig:"ROOST_CONFIG_FILE" desc:"File with any of these variables, a NAME=value on each line, read at the start and again at SIGHUP: see Reloading. The environment goes first. Empty: none." want:"the path of a file with a NAME=value on each line"`

	WSHost                  string        `envconfig:"WS_HOST" default:"0.0.0.0" desc:"Address on which WebSocket connections are accepted. 0.0.0.0: every IPv4 address. :: or empty: IPv6 and IPv4." want:"an IP address or a host name without a port"`
	WSPort                  int           `envconfig:"WS_PORT" default:"8081" desc:"Port on which WebSocket connections are accepted. 0: any free one, printed at the start." want:"a port number from 1 to 65535, or 0 for any free one"`
	WSMode                  string        `envconfig:"WS_MODE" default:"release" desc:"release, or debug: logs at debug level whatever LOGGER_LEVEL says, including the kind and size of what clients send." want:"release or debug"`
	WSAllowedOrigins        []string      `envconfig:"WS_ALLOWED_ORIGINS" reload:"true" default:"*" desc:"Origins that browsers may connect from, separated by commas: https://app.example.com, https://*.example.com for sub-domains, http://localhost:* for any port, file:// and app://. for pages inside of programs (Cordova, Electron), * for all. Clients that send no Origin always pass." want:"a list such as https://app.example.com,https://*.example.com, or * for all"`
	WSSSE                   bool          `envconfig:"WS_SSE" reload:"true" default:"true" desc:"Answers GET /sse with the same notifications as server-sent events, for clients that can't use WebSockets. false: 404."`
	WSHandshakeTimeout      time.Duration `envconfig:"WS_HANDSHAKE_TIMEOUT" default:"10s" desc:"Time from accept in which a client has to send its complete request, however slowly bytes come."`
	WSPingInterval          time.Duration `envconfig:"WS_PING_INTERVAL" default:"30s" desc:"Time between two pings to a client. Shorter than WS_PONG_WAIT."`
	WSPongWait              time.Duration `envconfig:"WS_PONG_WAIT" default:"60s" desc:"A client from which nothing comes for this long, not even a pong, is disconnected. One that begins a frame or message and does not end it for as long gets close code 1008."`
	WSWriteWait             time.Duration `envconfig:"WS_WRITE_WAIT" default:"10s" desc:"A client that acknowledges nothing for this long while data waits for it is disconnected."`
	WSMaxMessageSize        int           `envconfig:"WS_MAX_MESSAGE_SIZE" default:"512" desc:"Bytes that one message from a client may have, unless it brings a new token; a longer one ends the connection with close code 1009." want:"a number of bytes from 1 to 1048576"`
	WSMaxNotificationSize   int           `envconfig:"WS_MAX_NOTIFICATION_SIZE" reload:"true" default:"65536" desc:"Bytes that one notification may have as a backend publishes it; a larger one is skipped and counted as too_big. 0: no limit." want:"a number of bytes, or 0 for no limit"`
	WSReadBufferSize        int           `envconfig:"WS_READ_BUFFER_SIZE" default:"1024" desc:"Bytes that an event loop reads of one connection before it turns to the next (connections have no buffer of their own); raised to 4096 at least." want:"a number of bytes from 1 to 1048576"`
	WSWriteBufferSize       int           `envconfig:"WS_WRITE_BUFFER_SIZE" default:"1024" desc:"Bytes that the kernel keeps unsent for each connection (TCP_NOTSENT_LOWAT); raised to 32768 at least. The kernel bounds by itself what is under way to the client." want:"a number of bytes from 1 to 16777216"`
	WSMaxConnections        int           `envconfig:"WS_MAX_CONNECTIONS" reload:"true" default:"10000" desc:"Connections open at once; more are refused with 503 and Retry-After. The limit on open files (ulimit -n) bounds them too." want:"a number of connections of at least 1"`
	WSMaxConnectionsPerUser int           `envconfig:"WS_MAX_CONNECTIONS_PER_USER" reload:"true" default:"100" desc:"Connections of one user open at once; WS_USER_LIMIT says what happens to more. 0: no limit." want:"a number of at least 0; 0 is no limit"`
	WSUserLimit             string        `envconfig:"WS_USER_LIMIT" reload:"true" default:"refuse" desc:"What happens beyond WS_MAX_CONNECTIONS_PER_USER: refuse answers the new connection with 429, replace closes the user's oldest with 4429. That needs no room: the new one is admitted even when the server, or its address, is full." want:"refuse or replace"`
	WSHandshakeRate         int           `envconfig:"WS_HANDSHAKE_RATE" reload:"true" default:"5000" desc:"Handshakes a second with a good token; more are refused with 503 and a Retry-After that differs from client to client. Each address has a fair share. As many refusals a second, in shares too, wait until the client has read the answer; more are answered and closed at once. 0: no limit." want:"a number of at least 0; 0 is no limit"`
	WSHandshakeBurst        int           `envconfig:"WS_HANDSHAKE_BURST" reload:"true" default:"20000" desc:"Handshakes that may come at once before WS_HANDSHAKE_RATE counts, as after a restart; at least WS_HANDSHAKE_RATE. One address can have eight ninths of them." want:"a number of at least 0; 0 is no limit"`
	WSMessageRate           int           `envconfig:"WS_MESSAGE_RATE" reload:"true" default:"10" desc:"Messages and control frames a second that one client may send, in whatever pieces the network brings them; each fragment of a message counts as one. More end the connection with close code 1008. Answers to pings are free. 0: no limit." want:"a number of at least 0; 0 is no limit"`
	WSMessageBurst          int           `envconfig:"WS_MESSAGE_BURST" reload:"true" default:"100" desc:"Messages and control frames that one client may send at once before WS_MESSAGE_RATE counts; at least WS_MESSAGE_RATE." want:"a number of at least 0; 0 is no limit"`
	WSSlowConsumer          string        `envconfig:"WS_SLOW_CONSUMER" default:"drop" desc:"What happens to a client when there is no room for a notification: drop loses the notification and keeps the connection, close ends it, with close code 4408 if the client is slow (something has been waiting for it for a second) and 4507 if too much came at once." want:"drop or close"`
	WSQueueBytes            int           `envconfig:"WS_QUEUE_BYTES" reload:"true" default:"4194304" desc:"Bytes that may wait for one connection, in memory: its notifications, each its envelope, up to an eighth more, and 80 bytes." want:"a number of bytes from 65536 to 1073741824"`
	WSQueueMessages         int           `envconfig:"WS_QUEUE_MESSAGES" reload:"true" default:"256" desc:"Notifications that may wait for a client that has taken nothing for a second; what waits already stays." want:"a number of at least 1"`
	WSMaxQueuedBytes        int           `envconfig:"WS_MAX_QUEUED_BYTES" reload:"true" default:"268435456" desc:"Bytes that may wait for all connections together, in memory; a notification that waits for many counts once. Beyond it the fullest queue loses its newest notification, first those of clients that have taken nothing for a second; each keeps one. 0: no limit." want:"a number of bytes of at least 0; 0 is no limit"`
	WSMaxPendingBytes       int           `envconfig:"WS_MAX_PENDING_BYTES" reload:"true" default:"33554432" desc:"Bytes of all pending handshakes together, in equal shares for the event loops: incomplete requests, tokens that wait for a check, and what came behind these. Beyond it the address that has most makes room. The same number bounds two more things, each by itself: TLS records and messages whose rest has not come, and new tokens that are checked. 0: no limit." want:"a number of bytes of at least 1048576, or 0 for no limit"`
	WSMaxBroadcastBytes     int           `envconfig:"WS_MAX_BROADCAST_BYTES" reload:"true" default:"33554432" desc:"Bytes of all notifications for everyone and for groups that wait for delivery; one group may have an eighth. Beyond it the oldest of the group that has most is dropped." want:"a number of bytes of at least 1048576"`
	WSMaxConnectionsPerIP   int           `envconfig:"WS_MAX_CONNECTIONS_PER_IP" reload:"true" default:"0" desc:"Connections from one address open at once, IPv6 counted by its /64; more are refused with 429. Behind proxies that are in WS_TRUSTED_PROXIES it is the client's own address, behind others the proxy's: leave it at 0 there. 0: no limit." want:"a number of at least 0; 0 is no limit"`
	WSTrustedProxies        []string      `envconfig:"WS_TRUSTED_PROXIES" reload:"true" desc:"Addresses and ranges, separated by commas, of the proxies whose X-Forwarded-For, and PROXY headers, are believed: 127.0.0.1,10.0.0.0/8. Empty: none." want:"a list of addresses and ranges such as 127.0.0.1,10.0.0.0/8"`
	WSProxyProtocol         bool          `envconfig:"WS_PROXY_PROTOCOL" default:"false" desc:"Every connection from WS_TRUSTED_PROXIES has to begin with a PROXY header, version 1 or 2, with the client's address; others may send none. Without it the connection is refused with 400."`
	WSGroups                bool          `envconfig:"WS_GROUPS" reload:"true" default:"true" desc:"Reads the groups of a connection from its token's claim groups, for what is published on group_noti:<group>; a token in which the claim is no list of names, nor one name, is refused with 401. false: ignores the claim, for issuers that use it for something else."`
	WSCloseOnExpiry         bool          `envconfig:"WS_CLOSE_ON_EXPIRY" default:"false" desc:"Closes a connection with close code 4401 when its token expires, unless its client has sent a new one. Otherwise a token counts only while connecting."`
	WSMaxConnectionAge      time.Duration `envconfig:"WS_MAX_CONNECTION_AGE" default:"0s" desc:"Closes a connection with close code 1001 when it is this old, or up to a fifth less, which spreads clients over all instances again after a deploy. 0s: never." want:"a duration such as 6h, or 0s for none"`
	WSHealthDetail          string        `envconfig:"WS_HEALTH_DETAIL" default:"full" desc:"What /health says on WS_PORT: full, with the numbers of connections and users and whether Redis is connected, or status alone. Error texts are on the admin server only." want:"full or status"`
	WSDrainDelay            time.Duration `envconfig:"WS_DRAIN_DELAY" reload:"true" default:"0s" desc:"Time after the signal to stop in which /health says 503 draining and clients are still served as before, so that load balancers turn away first." want:"a duration such as 10s, or 0s for none"`
	WSDrainWindow           time.Duration `envconfig:"WS_DRAIN_WINDOW" reload:"true" default:"0s" desc:"Longest time over which connections are then closed, with 1001, so that clients do not all return at once; notifications are delivered meanwhile. With few connections it is less: see WS_DRAIN_RATE. 0s: all at once." want:"a duration such as 1m, or 0s for none"`
	WSDrainRate             int           `envconfig:"WS_DRAIN_RATE" reload:"true" default:"500" desc:"Connections closed a second while draining, or more where WS_DRAIN_WINDOW would not be enough for all: 10 connections take a moment, 100,000 the whole window. 0: always the whole window." want:"a number of at least 0; 0 always takes the whole window"`
	WSShutdownTimeout       time.Duration `envconfig:"WS_SHUTDOWN_TIMEOUT" reload:"true" default:"25s" desc:"Time after the signal to stop in which all has to be done; the rest is cut then. 5 s more than WS_DRAIN_DELAY and WS_DRAIN_WINDOW together, and less than the supervisor gives (TimeoutStopSec=, terminationGracePeriodSeconds, stop_grace_period)."`
	WSUpgrade               string        `envconfig:"WS_UPGRADE" reload:"true" default:"handover" desc:"What SIGUSR2 does with open connections: handover gives them to the new process, and clients notice nothing; drain closes them, as a stop does, and clients come back. The new process's value counts." want:"handover or drain"`
	WSGapNotice             bool          `envconfig:"WS_GAP_NOTICE" default:"false" desc:"Tells a client that notifications for it were lost, because it was too slow, because more came at once than may wait, because Redis was away, or because too much was published for everyone or a group: {\"type\":\"_gap\",\"payload\":{\"reason\":\"slow_consumer\", \"queue_full\", \"redis\" or \"broadcast\",\"since\":time}}, as soon as it can take it. Nothing that was published before since is missing."`
	WSResumeWindow          time.Duration `envconfig:"WS_RESUME_WINDOW" default:"0s" desc:"For how long Roost remembers what was published, so that a client which was away for less gets what it missed: each envelope then has an id, which the client sends when it comes back. It implies WS_GAP_NOTICE, and takes WS_RESUME_BYTES of memory. With REDIS_FEED=user or sharded at the same instance only. From 10s to 1h, 2m is a good value; 0s: off." want:"0s for off, or a duration from 10s to 1h, such as 2m"`
	WSResumeBytes           int           `envconfig:"WS_RESUME_BYTES" default:"67108864" desc:"Bytes in which WS_RESUME_WINDOW keeps what was published: 64 MiB are about 170,000 notifications of 300 bytes. If that is too little for the window, the oldest go first." want:"a number of bytes of at least 1048576"`
	WSRejectAfterUpgrade    string        `envconfig:"WS_REJECT_AFTER_UPGRADE" default:"auto" desc:"Which WebSocket handshakes are refused with a 101 and a close frame, whose code is 4000 and the HTTP status (4401: the token, 4403: the origin, 4429: too many connections, 4503: no room), because browsers do not let a page see the status of a failed handshake. auto: those of clients that offer the sub-protocol roost.v1, and so know the codes. true: all. false: none." want:"auto, true or false"`
	WSFlushWindow           time.Duration `envconfig:"WS_FLUSH_WINDOW" default:"0s" desc:"Notifications that come from Redis within this time are written together. Under load that saves much CPU, and each is at most this much later; one that comes alone is not delayed. 1ms is a good value, 0s is none, 100ms at most." want:"a duration from 0s (none) to 100ms, such as 1ms"`
	WSReusePort             bool          `envconfig:"WS_REUSE_PORT" default:"false" desc:"Lets several processes share WS_PORT (SO_REUSEPORT). When true, nobody notices a second process that starts by mistake."`

	WSTLSCertFile      string   `envconfig:"WS_TLS_CERT_FILE" desc:"File with a certificate, in PEM, with those between it and the authority after it: opens WS_TLS_PORT for wss://. Several, separated by commas, are chosen by the name that the client asks for; the first is for other names. Looked at every minute, and at SIGHUP. Empty: no TLS, unless WS_TLS_ACME_DOMAIN is set." want:"the path of a file with a certificate in PEM; set it together with WS_TLS_KEY_FILE"`
	WSTLSKeyFile       string   `envconfig:"WS_TLS_KEY_FILE" desc:"File with the private key of that certificate, in PEM, without a passphrase; as many as there are certificates, in the same order. ECDSA P-256 makes several times as many handshakes a second as RSA." want:"the path of a file with a private key in PEM; set it together with WS_TLS_CERT_FILE"`
	WSTLSPort          int      `envconfig:"WS_TLS_PORT" default:"8443" desc:"Port for wss://, with all that WS_PORT has. 443 where WS_TLS_ACME_DOMAIN is set and this is not. 0: any free one, printed at the start." want:"a port number from 1 to 65535, or 0 for any free one"`
	WSTLSHost          string   `envconfig:"WS_TLS_HOST" desc:"Address on which WS_TLS_PORT is opened. Empty: WS_HOST." want:"an IP address or a host name without a port"`
	WSPlain            bool     `envconfig:"WS_PLAIN" default:"true" desc:"Opens WS_PORT, for ws://. false: wss:// alone."`
	WSTLSMinVersion    string   `envconfig:"WS_TLS_MIN_VERSION" default:"1.2" desc:"Oldest TLS that is served: 1.2, or 1.3. A connection of TLS 1.2 takes some 8 KB of memory, one of 1.3 a few hundred bytes." want:"1.2 or 1.3"`
	WSTLSTicketKeyFile string   `envconfig:"WS_TLS_TICKET_KEY_FILE" desc:"File with the keys of session tickets, a line for each, 32 bytes in base64 or hexadecimal (openssl rand -base64 32), the same for all instances: clients then resume their session at any of them, and after a restart, at less CPU than a full handshake. The first key is for new tickets, tickets of all are taken: to rotate, put a new line first and drop the last. Looked at every minute, and at SIGHUP. Empty: keys of this process's own, a new one each day." want:"the path of a file with a key on each line"`
	WSTLSClientCAFile  string   `envconfig:"WS_TLS_CLIENT_CA_FILE" desc:"File with the certificates, in PEM, of authorities: clients have to show a certificate that one of them has signed, in addition to their token. Looked at every minute, and at SIGHUP. Empty: none is asked for." want:"the path of a file with certificates in PEM"`
	WSTLSAcmeDomain    []string `envconfig:"WS_TLS_ACME_DOMAIN" desc:"Names, separated by commas, for which Roost gets certificates by itself, from Let's Encrypt or WS_TLS_ACME_DIRECTORY, and renews them, in place of WS_TLS_CERT_FILE: ws.example.com. They have to lead to this server, and the authority has to reach WS_TLS_PORT at port 443 of them (TLS-ALPN-01). Setting it agrees to the authority's terms. Empty: none." want:"a list of host names such as ws.example.com, without wildcards and addresses"`
	WSTLSAcmeEmail     string   `envconfig:"WS_TLS_ACME_EMAIL" desc:"Address that the authority may write to. Empty: none." want:"an e-mail address"`
	WSTLSAcmeDirectory string   `envconfig:"WS_TLS_ACME_DIRECTORY" desc:"Directory of another ACME server (RFC 8555), to try with Let's Encrypt's staging one, say. SSL_CERT_FILE names the roots for one of your own. Empty: Let's Encrypt." want:"an URL that begins with https://"`
	WSTLSAcmeCache     string   `envconfig:"WS_TLS_ACME_CACHE" desc:"Directory, for this user alone, in which account, keys and certificates are kept. Empty: acme in what systemd gives (StateDirectory=), else roost-acme in the user's cache." want:"the path of a directory that this user may write to"`

	RedisURL              string        `envconfig:"REDIS_URL" secret:"true" desc:"Where Redis is, in one piece and in place of REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_USE_TLS, REDIS_ADDRS, REDIS_MASTER_NAME and REDIS_CLUSTER: redis://user:password@host:6379/0, rediss:// for TLS, redis+sentinel://host:26379,host:26379/master-name, redis+cluster://host:6379,host:6379. Empty: those are used." want:"an URL of Redis"`
	RedisHost             string        `envconfig:"REDIS_HOST" default:"localhost" desc:"Host of the Redis that backends publish to. Not used with REDIS_ADDRS." want:"a host name or an IP address without a port"`
	RedisPort             int           `envconfig:"REDIS_PORT" default:"6379" desc:"Port of Redis. Not used with REDIS_ADDRS." want:"a port number from 1 to 65535"`
	RedisAddrs            []string      `envconfig:"REDIS_ADDRS" desc:"Addresses, separated by commas, of the sentinels, which are asked where the master called REDIS_MASTER_NAME is: 10.0.0.1:26379,10.0.0.2:26379,10.0.0.3:26379. With REDIS_CLUSTER, of some of its nodes. Empty: REDIS_HOST and REDIS_PORT say where Redis is." want:"a list of host:port, such as 10.0.0.1:26379,10.0.0.2:26379,10.0.0.3:26379"`
	RedisMasterName       string        `envconfig:"REDIS_MASTER_NAME" desc:"Name by which the sentinels know the master, as in their line sentinel monitor." want:"the name in the sentinels' line: sentinel monitor <name> …"`
	RedisSentinelUsername string        `envconfig:"REDIS_SENTINEL_USERNAME" desc:"ACL user of the sentinels, with or without a password as REDIS_USERNAME. Empty: their default user." want:"a Redis ACL user name"`
	RedisSentinelPassword string        `envconfig:"REDIS_SENTINEL_PASSWORD" secret:"true" desc:"Password of the sentinels, which is not REDIS_PASSWORD. Empty: none." want:"the password of the sentinels"`
	RedisCluster          bool          `envconfig:"REDIS_CLUSTER" default:"false" desc:"Redis is a Redis Cluster. REDIS_ADDRS names some of its nodes, or REDIS_HOST and REDIS_PORT one; the others are found through them, and failovers and slots that move are followed."`
	RedisFeed             string        `envconfig:"REDIS_FEED" default:"pattern" desc:"What an instance subscribes to. pattern: user_noti:*, so that each instance receives what is for any user. user: user_noti:<user> for the users who are connected here, and no others. sharded: the same with the sharded channels of Redis Cluster 7 and later, on which backends publish with SPUBLISH. When to change it: docs/scaling.md." want:"pattern, user or sharded"`
	RedisUnsubscribeDelay time.Duration `envconfig:"REDIS_UNSUBSCRIBE_DELAY" default:"10s" desc:"Time for which Roost stays subscribed to a user after the last connection has ended, with REDIS_FEED user and sharded, so that a page reload causes no traffic. WS_RESUME_WINDOW, where that is longer. 0s: none." want:"a duration such as 10s, or 0s for none"`
	RedisUsername         string        `envconfig:"REDIS_USERNAME" desc:"Redis ACL user. Without REDIS_PASSWORD a user that Redis knows as nopass. Empty: the default user." want:"a Redis ACL user name"`
	RedisPassword         string        `envconfig:"REDIS_PASSWORD" secret:"true" desc:"Password of Redis. Empty: none." want:"the password of Redis"`
	RedisDB               int           `envconfig:"REDIS_DB" default:"0" desc:"Number of the Redis database. Pub/sub does not depend on it: channels are the same in all." want:"a database number of at least 0"`
	RedisUseTLS           bool          `envconfig:"REDIS_USE_TLS" default:"false" desc:"Connects to Redis, and to the sentinels, with TLS and checks their certificates."`
	RedisTLSCAFile        string        `envconfig:"REDIS_TLS_CA_FILE" desc:"File with the certificates, in PEM, of the authorities that may sign Redis's. Read at the start. Empty: those that the system trusts." want:"the path of a file with certificates in PEM"`
	RedisTLSCertFile      string        `envconfig:"REDIS_TLS_CERT_FILE" desc:"File with the certificate, in PEM, that Redis is shown, with those between it and the authority after it. Read for each new connection. Empty: none." want:"the path of a file with a certificate in PEM; set it together with REDIS_TLS_KEY_FILE"`
	RedisTLSKeyFile       string        `envconfig:"REDIS_TLS_KEY_FILE" desc:"File with the private key of that certificate, in PEM, without a password." want:"the path of a file with a private key in PEM; set it together with REDIS_TLS_CERT_FILE"`
	RedisTLSServerName    string        `envconfig:"REDIS_TLS_SERVER_NAME" desc:"Name that Redis's certificate has to be for. Empty: the host that is connected to." want:"a host name, or an IP address, without a port"`
	RedisMaxRetries       int           `envconfig:"REDIS_MAX_RETRIES" default:"3" desc:"Times that a Redis command is tried again after a network error; 0: never." want:"a number from 0 to 100"`
	RedisMinIdleConns     int           `envconfig:"REDIS_MIN_IDLE_CONNS" default:"10" desc:"Connections to Redis that are kept open for commands (publishing, health). Not above REDIS_POOL_SIZE." want:"a number of connections of at least 0"`
	RedisPoolSize         int           `envconfig:"REDIS_POOL_SIZE" default:"100" desc:"Connections to Redis at most, for commands. The subscription has one of its own." want:"a number of connections of at least 1"`
	RedisPoolTimeout      time.Duration `envconfig:"REDIS_POOL_TIMEOUT" default:"4s" desc:"Time that a command waits for a connection of the pool."`
	RedisConnMaxIdleTime  time.Duration `envconfig:"REDIS_CONN_MAX_IDLE_TIME" default:"5m" desc:"A pooled connection unused for this long is closed."`
	RedisConnMaxLifetime  time.Duration `envconfig:"REDIS_CONN_MAX_LIFETIME" default:"30m" desc:"A pooled connection older than this is replaced."`
	RedisFeedMaxAttempts  int           `envconfig:"REDIS_FEED_MAX_ATTEMPTS" default:"10" desc:"For how long Redis may be away, in multiples of REDIS_FEED_RETRY_DELAY, before roost closes its connections with 1001 and exits non-zero: 10 times 5s are 50 seconds. 0: for ever. A site with many clients needs that: they stay connected through a long outage of Redis instead of all coming back at once. Failures for want of descriptors, memory or ports on this host do not count." want:"a number of attempts, or 0 for ever"`
	RedisFeedRetryDelay   time.Duration `envconfig:"REDIS_FEED_RETRY_DELAY" default:"5s" desc:"Longest time between two attempts to reach Redis. The first follows a loss at once, the next ones after 50, 100, 200 ms and so on, each shortened by chance."`
	RedisHealthGrace      time.Duration `envconfig:"REDIS_HEALTH_GRACE" default:"15s" desc:"Time after a loss of Redis for which /health still answers 200, with degraded in the body. Otherwise balancers would take out all instances at once for a moment's outage. Before the first connection it is 503. 0s: 503 at once." want:"a duration such as 15s, or 0s for none"`
	RedisPresence         bool          `envconfig:"REDIS_PRESENCE" default:"false" desc:"Keeps in Redis which users are connected, to any instance: EXISTS user_online:alice. Changes are published on the channel user_presence."`
	RedisPresenceTTL      time.Duration `envconfig:"REDIS_PRESENCE_TTL" default:"60s" desc:"Time after which Redis forgets the users of a process that has crashed. Each user is written again three times within it." want:"a duration from 10s to 1h, such as 60s"`

	WebhookURL        string        `envconfig:"WEBHOOK_URL" desc:"Address of your backend to which Roost posts who becomes online and offline, with REDIS_PRESENCE: docs/webhooks.md. No secret belongs into it. Empty: nothing is posted." want:"an URL that begins with https:// or http://, without a password in it"`
	WebhookSecret     []string      `envconfig:"WEBHOOK_SECRET" reload:"true" secret:"true" desc:"Secret that requests to WEBHOOK_URL are signed with, as Standard Webhooks has it: whsec_ and 24 to 64 random bytes in base64, for example from: echo whsec_$(openssl rand -base64 32). Two, separated by a comma, both sign, while your backend changes from one to the other." want:"whsec_ and 24 to 64 random bytes in base64 (make one with: echo whsec_$(openssl rand -base64 32)), or two of these, separated by a comma"`
	WebhookCAFile     string        `envconfig:"WEBHOOK_CA_FILE" desc:"File with the certificates, in PEM, of the authorities that may sign that of WEBHOOK_URL. Read at the start. Empty: those that the system trusts." want:"the path of a file with certificates in PEM"`
	WebhookTimeout    time.Duration `envconfig:"WEBHOOK_TIMEOUT" default:"10s" desc:"Time that a request to WEBHOOK_URL may take, with its response." want:"a duration from 1s to 1m, such as 10s"`
	WebhookRetryFor   time.Duration `envconfig:"WEBHOOK_RETRY_FOR" default:"10m" desc:"Time for which a request to WEBHOOK_URL that fails is tried again. Then its events are dropped, and counted, so that one request can't hold up the others for ever." want:"a duration from 1s to 24h, such as 10m"`
	WebhookQueueBytes int           `envconfig:"WEBHOOK_QUEUE_BYTES" default:"33554432" desc:"Bytes of events that may wait for WEBHOOK_URL, in memory: 32 MiB are about 170,000 events. Beyond it the oldest are dropped, and counted." want:"a number of bytes from 1048576 to 1073741824"`

	JWTSecretKey         string        `envconfig:"JWT_SECRET_KEY" reload:"true" secret:"true" desc:"Secret that tokens are signed with (HS256). Required, unless JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL says how they are checked; at least 32 random bytes, for example from: openssl rand -hex 32" want:"the secret that your backend signs tokens with, at least 32 bytes (make one with: openssl rand -hex 32), or JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL where it signs with a key pair"`
	JWTSecretKeyPrevious []string      `envconfig:"JWT_SECRET_KEY_PREVIOUS" reload:"true" secret:"true" desc:"Secrets that JWT_SECRET_KEY has replaced, separated by commas, 8 at most: tokens signed with them are still good. Remove them when the last of these has expired. One alone is taken as JWT_SECRET_KEY would be; in a list each has 32 bytes at least, and no comma in it." want:"the secret that JWT_SECRET_KEY was, or a list of such, 8 at most, separated by commas; where one of them is shorter than 32 bytes or has a comma in it, put each on a line of the file that JWT_SECRET_KEY_PREVIOUS_FILE names"`
	JWTPublicKeyFile     string        `envconfig:"JWT_PUBLIC_KEY_FILE" reload:"true" desc:"File with the public keys that tokens are checked with, in PEM (PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE), any number one after the other. RSA of 2048 bits and more is for RS256, ECDSA on P-256 for ES256, Ed25519 for EdDSA. Read at the start. Empty: none." want:"the path of a file with public keys in PEM"`
	JWTJWKSURL           string        `envconfig:"JWT_JWKS_URL" desc:"Address of the issuer's JWKS, from which the same kinds of keys are fetched every JWT_JWKS_REFRESH. A key that is no longer in it is no longer accepted; while it can't be fetched the keys stay. Empty: none." want:"an URL that begins with https://, or with http:// where the host is this machine itself, without a password in it"`
	JWTJWKSRefresh       time.Duration `envconfig:"JWT_JWKS_REFRESH" default:"15m" desc:"Time from one fetch of JWT_JWKS_URL to the next. A token with an unknown kid causes a fetch at once, once a minute at most."`

	JWTAlgorithms []string `envconfig:"JWT_ALGORITHMS" default:"HS256,RS256,ES256,EdDSA" desc:"Algorithms, separated by commas, that tokens may be signed with: HS256, HS384 and HS512 with a secret, RS256, RS384, RS512, PS256, PS384 and PS512 with RSA, ES256, ES384 and ES512 with ECDSA on P-256, P-384 and P-521, EdDSA with Ed25519. A public key is good for those that fit its kind, or for the alg that the JWKS gives it." want:"a list of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 and EdDSA"`
	JWTUserClaim  string   `envconfig:"JWT_USER_CLAIM" reload:"true" default:"sub" desc:"Claim of a token that holds the user id, such as preferred_username, or user.id for the id in an object user. A string; of other claims than sub a whole number too." want:"the name of a claim, such as sub, preferred_username or user.id, in printable characters without quotes"`

	JWTIssuer   string   `envconfig:"JWT_ISSUER" reload:"true" desc:"The iss that a token needs. Empty: any, or none." want:"the issuer, letter by letter as in the tokens"`
	JWTAudience []string `envconfig:"JWT_AUDIENCE" reload:"true" desc:"Audiences, separated by commas, of which a token's aud has to name one. Empty: any, or none." want:"a list of audiences, letter by letter as in the tokens"`

	LoggerLevel          string `envconfig:"LOGGER_LEVEL" reload:"true" default:"info" desc:"Least severe lines that are logged: debug, info, warn or error." want:"debug, info, warn or error"`
	LoggerConnectionRate int    `envconfig:"LOGGER_CONNECTION_RATE" reload:"true" default:"100" desc:"Lines a second about connects and disconnects. In a storm the rest is left out, and a line says how many. 0: no limit." want:"a number of at least 0; 0 is no limit"`
	LoggerMode           string `envconfig:"LOGGER_MODE" default:"production" desc:"production, or development: adds to each line where in the source it comes from." want:"production or development"`
	LoggerEncoding       string `envconfig:"LOGGER_ENCODING" default:"json" desc:"Form of log lines: json, or console for humans." want:"json or console"`

	DiscordWebhookID    string `envconfig:"DISCORD_WEBHOOK_ID" desc:"Discord webhook to which critical errors, service up and service down are posted: the number in its address. Empty: none." want:"the number in the webhook's address, https://discord.com/api/webhooks/<id>/<token>; set it together with DISCORD_WEBHOOK_TOKEN"`
	DiscordWebhookToken string `envconfig:"DISCORD_WEBHOOK_TOKEN" secret:"true" desc:"Token of that webhook: the last part of its address." want:"the last part of the webhook's address, https://discord.com/api/webhooks/<id>/<token>; set it together with DISCORD_WEBHOOK_ID"`

	HTTPHost           string        `envconfig:"HTTP_HOST" default:"127.0.0.1" desc:"Address of the admin server with /health and /metrics. 127.0.0.1: this machine alone. 0.0.0.0: every IPv4 address. :: or empty: IPv6 and IPv4. Set HTTP_TOKEN where others can reach it. The container image sets 0.0.0.0." want:"an IP address or a host name without a port"`
	HTTPConsole        bool          `envconfig:"HTTP_CONSOLE" default:"true" desc:"Serves the console at / of the admin server: a page that shows the server's state."`
	HTTPToken          string        `envconfig:"HTTP_TOKEN" reload:"true" secret:"true" desc:"What clients of the admin server have to send as Authorization: Bearer, for everything but /health. 16 to 256 letters and digits, for example from: openssl rand -hex 16. Anybody who has it can also publish, with POST /publish. Empty: nothing has to be sent; what is about users is answered to this machine only, and nobody can publish." want:"16 to 256 letters and digits without a space (make one with: openssl rand -hex 16)"`
	HTTPPort           int           `envconfig:"HTTP_PORT" default:"8082" desc:"Port of the admin server. 0: any free one, printed at the start." want:"a port number from 1 to 65535, or 0 for any free one"`
	HTTPPProf          bool          `envconfig:"HTTP_PPROF" default:"false" desc:"Serves Go's profiles under /debug/pprof/ of the admin server, to processes of this machine only, whatever HTTP_HOST says: go tool pprof http://127.0.0.1:8082/debug/pprof/profile. From elsewhere through a tunnel (ssh, kubectl port-forward), not through a proxy."`
	HTTPIdempotencyTTL time.Duration `envconfig:"HTTP_IDEMPOTENCY_TTL" reload:"true" default:"1h" desc:"For how long Redis remembers each request to POST /publish that has an Idempotency-Key, so that one which is sent again is not published again. Each takes some 210 bytes there. 0s: such requests are refused." want:"a duration from 1m to 168h, such as 1h, or 0s for none"`

	HTTPTLSCertFile string `envconfig:"HTTP_TLS_CERT_FILE" desc:"File with the certificate, in PEM, that the admin server shows, with those between it and the authority after it: it then speaks https:// on HTTP_PORT, and nothing else. Several, separated by commas, are chosen by the name that the client asks for; the first is for other names. Looked at every minute, and at SIGHUP. Empty: http://." want:"the path of a file with a certificate in PEM; set it together with HTTP_TLS_KEY_FILE"`
	HTTPTLSKeyFile  string `envconfig:"HTTP_TLS_KEY_FILE" desc:"File with the private key of that certificate, in PEM, without a passphrase; as many as there are certificates, in the same order." want:"the path of a file with a private key in PEM; set it together with HTTP_TLS_CERT_FILE"`
}

// WSAddr is the host:port to accept WebSocket connections on.
func (c Config) WSAddr() string { return net.JoinHostPort(c.WSHost, strconv.Itoa(c.WSPort)) }

// WSTLS says whether there is a port for wss://.
func (c Config) WSTLS() bool { return c.WSTLSCertFile != "" || len(c.WSTLSAcmeDomain) > 0 }

// WSTLSAddr is the host:port to accept wss:// on.
func (c Config) WSTLSAddr() string {
	return net.JoinHostPort(cmp.Or(c.WSTLSHost, c.WSHost), strconv.Itoa(c.WSTLSPort))
}

// HTTPAddr is the host:port of the admin server.
func (c Config) HTTPAddr() string { return net.JoinHostPort(c.HTTPHost, strconv.Itoa(c.HTTPPort)) }

// HTTPScheme is what the admin server speaks.
func (c Config) HTTPScheme() string {
	if c.HTTPTLSCertFile != "" {
		return "https"
	}
	return "http"
}

// Sentinel says whether sentinels know where Redis is.
func (c Config) Sentinel() bool { return len(c.RedisAddrs) > 0 && !c.RedisCluster }

// RedisNodes are the nodes of the cluster that are known, host:port of each; none without a cluster.
func (c Config) RedisNodes() []string {
	switch {
	case !c.RedisCluster:
		return nil
	case len(c.RedisAddrs) > 0:
		return c.RedisAddrs
	}
	return []string{net.JoinHostPort(c.RedisHost, strconv.Itoa(c.RedisPort))}
}

// RedisAddr is the host:port of Redis. With Sentinel and with Cluster it is text that says who knows it.
func (c Config) RedisAddr() string {
	switch {
	case c.RedisCluster:
		return fmt.Sprintf("cluster (%s)", strings.Join(c.RedisNodes(), ","))
	case c.Sentinel():
		return fmt.Sprintf("%s (sentinels %s)", c.RedisMasterName, strings.Join(c.RedisAddrs, ","))
	}
	return net.JoinHostPort(c.RedisHost, strconv.Itoa(c.RedisPort))
}

// Debug says whether WS_MODE asks for debugging.
func (c Config) Debug() bool { return c.WSMode == "debug" }

// Development says whether LOGGER_MODE asks for a developer's log.
func (c Config) Development() bool { return c.LoggerMode == "development" }

// LogLevel is the least severe level to log: LOGGER_LEVEL, or debug when WS_MODE is debug.
func (c Config) LogLevel() slog.Level {
	if c.Debug() {
		return slog.LevelDebug
	}
	switch c.LoggerLevel {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}
