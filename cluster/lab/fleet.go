package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fleet is simulated Nomad clients beside the lab's real nodes, all in one
// process, and the jobs that run on them. The zero value is none.
type Fleet struct {
	Nodes int `json:"nodes"` // each has 8 GPUs
	// Churn is how much happens by itself: jobs that end and begin, counts
	// that change, nodes and GPUs that fail and recover. In changes a second.
	Churn float64 `json:"churn,omitempty"`
}

const (
	theFleet = "fleet"
	// maxFleet is what the addresses of a lab's fleet have room for.
	maxFleet = 16000
	// fleetAllocs is how many allocations the jobs make, for each node.
	fleetAllocs = 10
	fleetGPUs   = 8
	// beatsPerSecond is Nomad's max_heartbeats_per_second: with many nodes each
	// beats less often.
	beatsPerSecond = 50
	// fleetGrace is how late a heartbeat may be. It is Nomad's own default: where
	// a thousand nodes share two cores, one is late at times.
	fleetGrace = 10 * time.Second
	// stall is how long nothing may move before waiting is useless.
	stall = time.Minute
)

// fleetNode is the name of the i-th node of a fleet, as the fleet itself names them.
func fleetNode(i int) string { return fmt.Sprintf("gpu-%04d", i+1) }

// has tells whether a node is one of the fleet.
func (f Fleet) has(name string) bool {
	number, ok := strings.CutPrefix(name, "gpu-")
	i, err := strconv.Atoi(number)
	return ok && err == nil && i >= 1 && i <= f.Nodes && fleetNode(i-1) == name
}

func (f Fleet) check() error {
	if f.Nodes < 0 || f.Nodes > maxFleet {
		return fmt.Errorf("a fleet of %d nodes: 1 to %d", f.Nodes, maxFleet)
	}
	if f.Nodes == 0 && f.Churn > 0 {
		return errors.New("churn without a fleet: say how many nodes it has")
	}
	if f.Churn < 0 || f.Churn > 1000 {
		return fmt.Errorf("fleet churn %v: give changes a second, 0 to 1000", f.Churn)
	}
	return nil
}

// failover is for how long after an election a node may be silent: each must
// have had its turn to beat.
func (f Fleet) failover() time.Duration {
	return max(20*time.Second, 3*time.Second*time.Duration(f.Nodes/beatsPerSecond))
}

// fleetUp starts the fleet and waits until its nodes have registered.
func (se *session) fleetUp(ctx context.Context) error {
	s := se.state
	if s.Fleet.Nodes == 0 {
		return nil
	}
	var rpc []string
	for _, srv := range s.layout().Servers {
		rpc = append(rpc, srv.addr(srv.RPC))
	}
	var web []string
	for _, srv := range s.layout().Servers {
		web = append(web, srv.url())
	}
	args := []string{
		"-nodes=" + strconv.Itoa(s.Fleet.Nodes), "-allocs=" + strconv.Itoa(fleetAllocs), "-churn=" + strconv.FormatFloat(s.Fleet.Churn, 'g', -1, 64),
		"-servers=" + strings.Join(rpc, ","), "-http=" + strings.Join(web, ","), "-token-file=" + se.paths.nomadToken(),
		"-network=" + s.layout().Fleet, "-agent-job=" + AgentJob, "-socket=" + se.paths.fleetSocket(),
	}
	// What it is told, it is told at its start.
	if p := se.proc(theFleet); p.alive() && !strings.Contains(cmdlineOf(p.PID), " "+strings.Join(args, " ")) {
		if err := p.stop(ctx, agentGrace); err != nil {
			return err
		}
	}
	se.saySlow(theFleet)
	if _, err := se.ensure(theFleet, s.FleetBin, nil, args...); err != nil {
		return err
	}
	c := se.fleet()
	defer c.close()
	limit := time.Minute + 60*time.Millisecond*time.Duration(s.Fleet.Nodes)
	say := se.sayNowAndThen(theFleet)
	err := until(ctx, "the fleet to register", limit, se.gone(theFleet), func(ctx context.Context) error {
		st, err := c.status(ctx)
		switch {
		case err != nil:
			return err
		case st.Ready == st.Nodes:
			return nil
		}
		say(fmt.Sprintf("%d of %d nodes registered", st.Ready, st.Nodes))
		// Those that somebody made fail are not waited for.
		faults, err := c.faults(ctx)
		if err == nil && st.Ready+len(slices.DeleteFunc(faults, func(f Fault) bool { return f.Kind != kindDown })) >= st.Nodes {
			return nil
		}
		return errors.Join(err, fmt.Errorf("%d of %d have", st.Ready, st.Nodes))
	})
	if err == nil {
		se.say(theFleet, fmt.Sprintf("%d nodes with %d GPUs registered", s.Fleet.Nodes, fleetGPUs*s.Fleet.Nodes), true)
	}
	return err
}

// fleetWork lets the fleet submit its jobs, and waits until their allocations run.
func (se *session) fleetWork(ctx context.Context) error {
	if se.state.Fleet.Nodes == 0 {
		return nil
	}
	c := se.fleet()
	defer c.close()
	if err := c.do(ctx, http.MethodPost, "/work", nil, nil); err != nil {
		return fmt.Errorf("order the fleet's jobs: %w", err)
	}
	var st FleetStatus
	say := se.sayNowAndThen(theFleet)
	told, moved := -1, time.Now()
	ended := se.gone(theFleet)
	gone := func() error {
		if time.Since(moved) > stall {
			return fmt.Errorf("nothing has moved for %s", stall)
		}
		return ended()
	}
	err := until(ctx, "the fleet's allocations to run", time.Hour, gone, func(ctx context.Context) (err error) {
		if st, err = c.status(ctx); err != nil {
			return err
		}
		if st.Running != told {
			told, moved = st.Running, time.Now()
		}
		// Not every job finds all its places: nobody keeps room for the large ones.
		if st.Running >= st.Wanted || st.Running > st.Wanted*9/10 && time.Since(moved) > 5*time.Second {
			return nil
		}
		say(fmt.Sprintf("%d of about %d allocations run", st.Running, st.Wanted))
		return fmt.Errorf("%d of %d do", st.Running, st.Wanted)
	})
	if err == nil {
		se.say(theFleet, fmt.Sprintf("%d allocations run, %d of %d GPUs are held", st.Running, st.Held, fleetGPUs*st.Nodes), true)
	}
	return err
}

// sayNowAndThen tells how far a part is, every few seconds and not more often.
func (se *session) sayNowAndThen(part string) func(string) {
	var last time.Time
	return func(text string) {
		if time.Since(last) >= 5*time.Second {
			last = time.Now()
			se.say(part, text, false)
		}
	}
}

// fleetAPI is the fleet's program, which takes orders on a unix socket.
type fleetAPI struct{ rest }

func (se *session) fleet() fleetAPI { return newFleetAPI(se.paths) }

func newFleetAPI(p paths) fleetAPI {
	return fleetAPI{rest{base: "http://fleet", client: newUnixClient(p.fleetSocket())}}
}

// FleetStatus is how a fleet says that it is.
type FleetStatus struct {
	Nodes   int // simulated nodes
	Ready   int // those that the servers know
	Wanted  int // allocations that the fleet's jobs make where all find a place
	Allocs  int // allocations that the servers placed on the fleet
	Running int
	Held    int // GPUs
	Agents  int // that serve their node's GPUs
	Readers int // of those streams
}

// Fleet says how the fleet is; without one it is an error.
func (l *Lab) Fleet(ctx context.Context) (FleetStatus, error) {
	c := newFleetAPI(l.paths)
	defer c.close()
	return c.status(ctx)
}

func (c fleetAPI) status(ctx context.Context) (st FleetStatus, err error) {
	err = c.get(ctx, "/status", &st)
	return st, err
}

func (c fleetAPI) faults(ctx context.Context) ([]Fault, error) {
	var list []Fault
	if err := c.get(ctx, "/faults", &list); err != nil {
		return nil, fmt.Errorf("the fleet's faults: %w", err)
	}
	for i := range list {
		list[i].Text = list[i].meaning()
	}
	return list, nil
}

func (c fleetAPI) inject(ctx context.Context, f Fault) error {
	return fleetSays(c.do(ctx, http.MethodPost, "/faults", map[string]any{"target": f.Target, "kind": f.Kind, "xid": f.Xid}, nil))
}

func (c fleetAPI) clear(ctx context.Context, target string) error {
	return fleetSays(c.do(ctx, http.MethodDelete, "/faults?target="+url.QueryEscape(target), nil, nil))
}

// fleetSays makes the fleet's refusal the person's own mistake.
func fleetSays(err error) error {
	if e, ok := errors.AsType[*restError](err); ok && e.Status == http.StatusBadRequest {
		return noFault("%s", e.Text)
	}
	return err
}
