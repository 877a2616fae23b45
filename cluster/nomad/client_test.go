package nomad

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stoker/cluster"
	"stoker/secrets"
)

func TestTokenIsReadAgain(t *testing.T) {
	only := func(good string) func(*server) {
		return func(s *server) {
			h := func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Nomad-Token") != good {
					http.Error(w, "Permission denied", http.StatusForbidden)
					return
				}
				_, _ = w.Write([]byte(`{"EvalID":"e1"}`))
			}
			s.on("GET /v1/job/x", h)
			s.on("PUT /v1/job/x/scale", h)
		}
	}
	for name, test := range map[string]struct {
		tokens []string // that the source gives, one after the other
		good   string
		asked  int
		denied bool
	}{
		"good at once":   {[]string{"a"}, "a", 1, false},
		"renewed":        {[]string{"old", "new"}, "new", 2, false},
		"the same again": {[]string{"old"}, "new", 1, true},
		"not yet":        {[]string{"old", "older", "new"}, "new", 2, true}, // once, not until it fits
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			only(test.good)(srv)
			c := open(t, srv.URL, test.tokens...)
			_, err := c.get(t.Context(), "/v1/job/x", nil, &struct{}{})
			if errors.Is(err, cluster.ErrDenied) != test.denied || srv.count("/v1/job/x") != test.asked {
				t.Errorf("asked %d times: %v", srv.count("/v1/job/x"), err)
			}
			// A change carries a body, which must arrive whole the second time.
			c = open(t, srv.URL, test.tokens...)
			_, err = c.Scale(t.Context(), cluster.JobID{Namespace: "default", Name: "x"}, "g", 4)
			if errors.Is(err, cluster.ErrDenied) != test.denied || srv.count("/v1/job/x/scale") != test.asked {
				t.Errorf("scaled %d times: %v", srv.count("/v1/job/x/scale"), err)
			}
			if body := srv.last("/v1/job/x/scale").body; !strings.Contains(body, `"Count":4`) {
				t.Errorf("the body got lost: %q", body)
			}
		})
	}
}

func TestTokenKeptWhileItWorks(t *testing.T) {
	srv := newServer(t)
	n := 0
	c, err := Open(place(), Config{Address: srv.URL, Token: func(context.Context) (secrets.Secret, error) { n++; return secrets.New("a"), nil }}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.get(t.Context(), "/v1/jobs", nil, &[]jobJSON{}); err != nil {
			t.Fatal(err)
		}
	}
	if n != 1 {
		t.Errorf("the source was asked %d times", n)
	}
}

func TestEnvironmentTokenIsNotSent(t *testing.T) {
	t.Setenv("NOMAD_TOKEN", "of-another-cluster")
	srv := newServer(t)
	if err := open(t, srv.URL).Ping(t.Context()); !errors.Is(err, cluster.ErrNotFound) { // not recorded
		t.Error(err)
	}
	if got := srv.last("/v1/status/leader").token; got != "" {
		t.Errorf("sent %q", got)
	}
}

func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		code int
		body string
		kind error
		text string
	}{
		"denied":         {403, "Permission denied", cluster.ErrDenied, "permission denied"},
		"unknown token":  {401, "ACL token not found", cluster.ErrDenied, "permission denied"},
		"not found":      {404, "job not found", cluster.ErrNotFound, "job not found"},
		"conflict":       {409, "cas error", cluster.ErrConflict, "cas error"},
		"check index":    {500, "Enforcing job modify index 1: job does not exist", cluster.ErrConflict, "Enforcing job modify index"},
		"no leader":      {500, "No cluster leader", cluster.ErrUnreachable, "No cluster leader"},
		"dead proxy":     {502, "<html>Bad Gateway</html>", cluster.ErrUnreachable, "Bad Gateway"},
		"another region": {500, "No path to region", cluster.ErrUnreachable, `knows no way to the region "r"`},
		"anything else":  {500, "it broke", nil, "it broke (500)"},
		"no JSON at all": {200, "<html>", nil, "nomad:"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			srv.on("GET /v1/x", status(test.code, test.body))
			_, err := open(t, srv.URL).get(t.Context(), "/v1/x", nil, &struct{}{})
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("got %v", err)
			}
			if test.kind == nil {
				return
			}
			var hinter interface{ Hint() string }
			if !errors.Is(err, test.kind) || !errors.As(err, &hinter) {
				t.Fatalf("%v is not %v", err, test.kind)
			}
			if hinter.Hint() == "" && !errors.Is(test.kind, cluster.ErrNotFound) {
				t.Error("no hint")
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	srv := newServer(t)
	address := srv.URL
	srv.Close()
	err := open(t, address).Ping(t.Context())
	if !errors.Is(err, cluster.ErrUnreachable) || err.Error() != "cannot reach nomad at "+address+": connection refused" {
		t.Error(err)
	}
	synctest.Test(t, func(t *testing.T) {
		slow, c := inBubble(t)
		slow.on("GET /v1/status/leader", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Ping(ctx); !errors.Is(err, cluster.ErrUnreachable) || !strings.HasSuffix(err.Error(), "no answer in time") {
			t.Error(err)
		}
	})
}

func TestWhatIsNoNomad(t *testing.T) {
	for name, test := range map[string]struct {
		code int
		body string
		said string // "": it is a Nomad
	}{
		"another server":        {404, "", "404 Not Found"},
		"a page":                {200, "<html>", "no JSON"},
		"nothing":               {200, "", "no JSON"},
		"TLS":                   {400, "Client sent an HTTP request to an HTTPS server.", "400 Bad Request: Client sent an HTTP request to an HTTPS server."},
		"one without a leader":  {500, "No cluster leader", ""},
		"one that refuses":      {403, "Permission denied", ""},
		"one behind a proxy":    {502, "", ""},
		"one that has a leader": {200, `"127.0.0.1:4647"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			srv.on("GET /v1/status/leader", status(test.code, test.body))
			err := open(t, srv.URL).Ping(t.Context())
			none := err != nil && err.Error() == "what answers at "+srv.URL+" is no Nomad: "+test.said && errors.Is(err, cluster.ErrUnreachable)
			if none != (test.said != "") {
				t.Error(err)
			}
		})
	}
}

func TestTokenSourceFails(t *testing.T) {
	cause := errors.New("open token: permission refused by the file system")
	c, err := Open(place(), Config{Address: "http://127.0.0.1:1", Token: func(context.Context) (secrets.Secret, error) { return secrets.Secret{}, cause }}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); !errors.Is(err, cause) || errors.Is(err, cluster.ErrUnreachable) || !strings.HasPrefix(err.Error(), "nomad token: ") {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, address := range []string{"", "localhost:4646", "127.0.0.1", "http://"} {
		if _, err := Open(place(), Config{Address: address}, time.Now); err == nil {
			t.Errorf("address %q was taken", address)
		}
	}
	if _, err := Open(place(), Config{Address: "https://x:1", TLS: TLS{CACert: "does-not-exist.pem"}}, time.Now); err == nil {
		t.Error("a CA file that is not there was taken")
	}
}
