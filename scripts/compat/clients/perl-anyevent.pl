# AnyEvent::WebSocket::Client.
use v5.36;
use AnyEvent;
use AnyEvent::WebSocket::Client;
$| = 1;
binmode STDOUT, ':utf8';
my $done = AnyEvent->condvar;
our $connection;
AnyEvent::WebSocket::Client->new(max_payload_size => 1 << 20)->connect($ARGV[0])->cb(sub {
  $connection = eval { shift->recv } or die $@;
  say 'open';
  $connection->on(each_message => sub { eval { say 'message ' . $_[1]->decoded_body; 1 } or warn $@ });
  $connection->on(finish => sub { say 'closed ' . ($connection->close_code // 1006); $done->send });
});
$done->recv;
