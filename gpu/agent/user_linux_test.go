package agent

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindIdentity(t *testing.T) {
	got, err := FindIdentity("1234:567")
	if err != nil || !cmp.Equal(got, Identity{Name: "1234:567", uid: 1234, gid: 567}, cmp.AllowUnexported(Identity{})) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, says := range map[string]string{
		"root": "nothing would be given up", "0:0": "nothing would be given up", "0:5": "nothing would be given up",
		"no-such-user-here": "unknown user", "12:x": "no number", ":": "no number", "-1:5": "no number", "4294967296:5": "no number",
	} {
		if _, err := FindIdentity(name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
}

func TestInherited(t *testing.T) {
	if ln, err := Inherited(); ln != nil || err != nil {
		t.Errorf("of nothing: %v, %v", ln, err)
	}
	for _, text := range []string{"x", "-1", "1", "999999"} {
		t.Setenv(listenerVar, text)
		if ln, err := Inherited(); ln != nil || err == nil {
			t.Errorf("%s: %v, %v", text, ln, err)
		}
	}
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := inheritable(first)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	t.Setenv(listenerVar, strconv.Itoa(fd))
	ln, err := Inherited()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if ln.Addr().String() != first.Addr().String() || os.Getenv(listenerVar) != "" {
		t.Errorf("%v, want %v; the variable is %q", ln.Addr(), first.Addr(), os.Getenv(listenerVar))
	}
	if os.Geteuid() != 0 { // as root it would replace this test
		if err := (Identity{}).Become(ln, false); !errors.Is(err, ErrNotRoot) {
			t.Errorf("not root: %v", err)
		}
	}
}
