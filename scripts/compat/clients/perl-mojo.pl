# Mojolicious.
use v5.36;
use Mojo::UserAgent;
use Mojo::IOLoop;
$| = 1;
binmode STDOUT, ':utf8';
my $agent = Mojo::UserAgent->new(inactivity_timeout => 0, max_response_size => 0);
$agent->websocket($ARGV[0] => sub ($agent, $tx) {
  die 'no WebSocket' unless $tx->is_websocket;
  $tx->max_websocket_size(1 << 20);
  say 'open';
  $tx->on(text => sub ($tx, $bytes) { say 'message ' . Mojo::Util::decode('UTF-8', $bytes) });
  $tx->on(finish => sub ($tx, $code, $reason) { say "closed $code"; Mojo::IOLoop->stop });
});
Mojo::IOLoop->start;
