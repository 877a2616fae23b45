package source

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"stoker/gpu/certs"
	"stoker/gpu/certs/certtest"
)

// A server with a certificate is believed by the authority that a file names,
// as the file is at the connect, and by none else unless that is asked for.
func TestAskingOverTLS(t *testing.T) {
	authority, stranger := certtest.New(t), certtest.New(t)
	pair := authority.Issue(t, time.Hour, "127.0.0.1")
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()

	skip := false
	store, err := certs.New(certs.Files{CA: stranger.File}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := newAsker(HTTP{TLS: func() (*tls.Config, error) {
		conf, err := store.Client("")
		if err == nil {
			conf.InsecureSkipVerify = skip
		}
		return conf, err
	}})
	defer a.close()
	ask := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			return err
		}
		body, err := a.do(req)
		if err != nil {
			return err
		}
		defer body.Close()
		_, err = io.Copy(io.Discard, body)
		return err
	}
	if err := ask(); err == nil {
		t.Error("a certificate that a stranger signed is believed")
	}
	skip = true
	if err := ask(); err != nil {
		t.Errorf("not verified, as asked for: %v", err)
	}
	skip = false
	a.close()                            // else the connection that was made is used again
	later := time.Now().Add(time.Second) // the two were made in the same tick of the clock
	if err := os.Chtimes(authority.File, later, later); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(authority.File, stranger.File); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err != nil {
		t.Errorf("the authority's file was replaced: %v", err)
	}
}
