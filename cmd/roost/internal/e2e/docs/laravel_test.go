package docs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// laravelSection has what makes Laravel, and code for Pusher, publish on Roost.
const laravelSection = "## From Laravel and Pusher"

// TestLaravelAndPusher runs the classes of docs/publishing.md, with a stand-in for the class of Laravel that one of them extends.
func TestLaravelAndPusher(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	_, server := e2e.Start(t, roosttest.Env{"HTTP_TOKEN": token})
	claims := roosttest.Claims{"sub": "7", "exp": time.Now().Add(time.Hour).Unix(), "groups": []string{"orders"}}
	signed := roosttest.Sign(t, "HS256", roosttest.Secret, claims)
	own, other := server.ConnectWith(signed+"&hello=1", roosttest.Dial{}), server.ConnectWith(signed, roosttest.Dial{})
	hello := own.WaitMessages(1)[0]
	_, id, _ := strings.Cut(hello, `"connection":"`)
	id, _, _ = strings.Cut(id, `"`)

	programs := map[string]string{
		"RoostBroadcaster": fmt.Sprintf(`
			$roost = new RoostBroadcaster('http://%[1]s', '%[2]s');
			$roost->broadcast(['private-orders'], 'shipped', ['order' => 1, 'socket' => '%[3]s']);
			$roost->broadcast(['private-App.Models.User.7', 'private-App.Models.User.8'], 'greeting', []);`, server.HTTP, token, id),
		"RoostTrigger": fmt.Sprintf(`
			$roost = new RoostTrigger('http://%[1]s', '%[2]s');
			$roost->trigger('orders', 'shipped', ['order' => 2], ['socket_id' => '%[3]s']);
			$roost->trigger(['orders', 'nobody'], 'shipped', ['order' => 3]);
			$roost->sendToUser('7', 'greeting', ['text' => 'hello']);`, server.HTTP, token, id),
	}
	const standIn = `<?php namespace Illuminate\Broadcasting\Broadcasters {
		abstract class Broadcaster {
			abstract public function auth($request);
			abstract public function validAuthenticationResponse($request, $result);
			abstract public function broadcast(array $channels, $event, array $payload = []);
		}
	}
	namespace {
		set_error_handler(function ($number, $text) { throw new ErrorException($text); }); // as Laravel does
	`
	seen := 0
	for _, block := range e2e.Blocks(e2e.Section(t, e2e.ReadDoc(t, "docs/publishing.md"), laravelSection)) {
		for class, program := range programs {
			if !strings.Contains(block.Text, "class "+class) {
				continue
			}
			seen++
			known := map[string]language{"php": {file: "publish.php", before: standIn, after: program + "}\n", run: "php publish.php", needs: "php --version"}}
			runSnippet(t, known, strings.NewReplacer(), block)
		}
	}
	if seen != len(programs) {
		t.Fatalf("%d of the classes are there", seen)
	}
	want := []string{`"payload":{"order":1}`, `"type":"greeting","payload":{}`, `"payload":{"order":2}`, `"payload":{"order":3}`, `"payload":{"text":"hello"}`}
	all := strings.Join(other.WaitMessages(len(want)), "\n")
	for _, text := range want {
		if strings.Count(all, text) != 1 {
			t.Errorf("%s is not there once in %q", text, all)
		}
	}
	if got := strings.Join(own.WaitMessages(4)[1:], "\n"); strings.Contains(got, `"order":1`) || strings.Contains(got, `"order":2`) || len(own.Messages()) != 4 {
		t.Errorf("the connection that caused it got %q", got)
	}
}
