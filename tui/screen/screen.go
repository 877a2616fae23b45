package screen

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/theme"
)

// Screen is one screen. The root gives it keys as KeyMsg, a TickMsg each
// second, and every message that it does not know itself: a screen's own
// replies come back that way, to all screens, told apart by their type.
type Screen interface {
	// SetSize sets the cells that View fills. It is called again after a
	// change of theme: draw everything anew.
	SetSize(w, h int)
	SetSnapshot(s *cluster.Snapshot)
	Update(msg tea.Msg) tea.Cmd
	View() string
	// Actions lists what applies to the selection now, for the footer.
	Actions() []keys.ID
}

// Filterer is a screen whose rows can be filtered. A filter belongs to what lies
// on top when it is typed: the list, or the log over it.
type Filterer interface {
	// SetFilter filters what is on top, by words or by an expression. With an
	// error, the filter stays as it was.
	SetFilter(text string) error
	// Filter is what was typed for it; ok is false where there is nothing to filter.
	Filter() (text string, ok bool)
	// Counts is the number of rows shown, and of all.
	Counts() (shown, all int)
}

// Opener is a screen that others may jump into. The zero Target comes when the
// user goes to the screen by its key: details close, the selection stays.
type Opener interface{ Open(t Target) tea.Cmd }

// Backer is a screen with something to close, such as details: Back closes it
// and says whether that was all that the user wanted. Details that a jump
// opened close with false: esc then leads to where the jump came from.
type Backer interface{ Back() bool }

// Typer is a screen with inputs. While Typing, it gets tea.KeyPressMsg and
// tea.PasteMsg as they come; only ctrl+c is kept from it.
type Typer interface{ Typing() bool }

// Name names a screen, in messages and in the command bar.
type Name string

// The screens.
const (
	Fleet     Name = "fleet"
	Nodes     Name = "nodes"
	GPUs      Name = "gpus"
	Jobs      Name = "jobs"
	Models    Name = "models"
	Training  Name = "training"
	Keys      Name = "keys"
	Scenarios Name = "scenarios"
	Events    Name = "events"
	Usage     Name = "usage"
	Submit    Name = "submit"

	Allocs      Name = "allocs"
	Deployments Name = "deployments"
	Evaluations Name = "evaluations"
	Services    Name = "services"
	Pools       Name = "pools"
	Namespaces  Name = "namespaces"
	Variables   Name = "variables"
	Sources     Name = "sources"
)

// Names are all screens that there may be; a session has some of them.
func Names() []Name {
	return []Name{
		Fleet, Nodes, GPUs, Jobs, Models, Training, Keys, Scenarios, Events, Usage, Submit,
		Allocs, Deployments, Evaluations, Services, Pools, Namespaces, Variables, Sources,
	}
}

// Env is what a screen is made with. It is shared and read-only for screens.
type Env struct {
	Theme *theme.Theme // the pointer stays, what it points to changes with the theme
	Keys  *keys.Map
	Now   func() time.Time
	// Base ends when the program does. Commands derive theirs from it, since
	// Bubble Tea gives them none.
	Base context.Context
	// Allowed says why an action may not be done; nil means that it may.
	Allowed func(action.ID) error
	Logs    LogSource // nil when there is none
	// Past loads what a GPU did before this program watched it, into the
	// snapshots; nil where nobody knows.
	Past func(ctx context.Context, id gpu.UUID) error
	// Look says that somebody opened a GPU, so that its details are read; nil
	// where they are anyway.
	Look func(id gpu.UUID)
}

// LogSource reads logs; it returns when the log ends or ctx does.
type LogSource interface {
	Logs(ctx context.Context, req cluster.LogRequest, emit func(cluster.LogLine)) error
}

// Target is what a jump selects. The zero value selects nothing.
type Target struct {
	Node  cluster.NodeID
	GPU   gpu.UUID
	Job   cluster.JobID
	Alloc cluster.AllocID
	Key   string

	Deployment cluster.DeploymentID
	Eval       cluster.EvalID
	Service    cluster.ServiceID
	Pool       string
	Namespace  string
	Variable   cluster.VariableID
	Source     string        // by its name
	Of         cluster.Place // of a key, a pool, a namespace, a variable and a source; zero is any
	// Filter narrows the rows, as if it had been typed.
	Filter string
	// Within narrows the screen to what belongs to what is named above first.
	Within bool
	// Details opens them, too, instead of only selecting the row, Logs the log of
	// the job, and Why the account of why it waits.
	Details, Logs, Why bool
}

// KeyMsg is a key that the table of keys knows in this screen's scopes.
type KeyMsg struct{ ID keys.ID }

// PressMsg asks the root to do what a key does.
type PressMsg struct{ ID keys.ID }

// TickMsg comes once a second: ages move on.
type TickMsg struct{ Now time.Time }

// OpenMsg asks the root for another screen; esc leads back.
type OpenMsg struct {
	Screen Name
	Target Target
}

// AskMsg asks the root for an action: it plans, asks, does and reports.
type AskMsg struct{ Request action.Request }

// AskAllMsg asks the root for one action on several things: one plan of all,
// one answer, one after the other.
type AskAllMsg struct{ Requests []action.Request }

// NoteMsg is one line for the status line and the messages list.
type NoteMsg struct {
	Level cluster.Level
	Text  string
}

// QuestionMsg asks before a change that is not one of jobs/action.
type QuestionMsg struct {
	Title    string
	Lines    []string // what it will touch
	Warnings []string
	Ask      string // the name to type; empty when yes is enough
	// Change is the action that must be allowed; empty when none stands for it.
	Change action.ID
	// Do runs in a command, with a deadline; its text goes to the status line.
	Do func(ctx context.Context) (string, error)
	// Choices stand in place of Do where there is more than one way to do it;
	// the first is what a plain yes does.
	Choices []Choice
}

// Choice is one way to do what a question asks for.
type Choice struct {
	Text string // what it is, after "yes,"
	Do   func(ctx context.Context) (string, error)
}

// PromptMsg asks for one line of text.
type PromptMsg struct {
	Title   string
	Initial string
	Check   func(string) error // shown under the input while it fails; may be nil
	Then    func(string) tea.Cmd
}

// Press does what a key does.
func Press(id keys.ID) tea.Cmd { return send(PressMsg{id}) }

// Open jumps to another screen.
func Open(name Name, t Target) tea.Cmd { return send(OpenMsg{name, t}) }

// Ask begins an action.
func Ask(r action.Request) tea.Cmd { return send(AskMsg{r}) }

// AskAll begins an action on each of some things; of one it is Ask.
func AskAll(reqs []action.Request) tea.Cmd {
	if len(reqs) == 1 {
		return Ask(reqs[0])
	}
	return send(AskAllMsg{reqs})
}

// Note shows one line.
func Note(level cluster.Level, text string) tea.Cmd { return send(NoteMsg{level, text}) }

// Question begins a change of another kind.
func Question(q QuestionMsg) tea.Cmd { return send(q) }

// Prompt asks for one line.
func Prompt(p PromptMsg) tea.Cmd { return send(p) }

func send(m tea.Msg) tea.Cmd { return func() tea.Msg { return m } }
