package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
)

// command is what the command bar can do. A new one is an entry in commands.
type command struct {
	name    string
	aliases []string
	args    string // what follows the name, for people
	help    string
	// complete completes what follows the name, up to the caret; nil: nothing.
	complete func(args string) facts.Completion
	// run does it. With an error the line stays, to be put right: one of type
	// *facts.FilterError says where in args.
	run func(args string) (tea.Cmd, error)
}

// commands are all there are: the screens, then the rest.
func (m *model) commands() []command {
	var out []command
	for i, s := range m.screens {
		out = append(out, command{
			name: string(s.name), aliases: screenAliases(s.name), args: "[FILTER]", help: m.screenHelp(s),
			complete: func(args string) facts.Completion { return m.completeFilter(s, args) },
			run:      func(args string) (tea.Cmd, error) { return m.goTo(i, args) },
		})
	}
	if !m.cfg.Local {
		out = append(out, command{
			name: "ctx", aliases: []string{"context"}, args: "[NAME,…]", help: "go over to other clusters, or see several together; none: choose",
			complete: m.completeSites, run: m.switchContext,
		})
	}
	if m.snap.Members != nil { // the screen is not there: it says why
		out = append(out, command{
			name: string(screen.Submit), aliases: screenAliases(screen.Submit), help: "of several clusters, choose one first",
			run: func(string) (tea.Cmd, error) { return nil, action.ErrSeveral },
		})
	}
	return append(out, m.tableCommands()...)
}

// anywhere are the commands with those of screens that are not here: what the
// user wrote is for every session, and does not get wrong by being of no use in one.
func (m *model) anywhere() []command {
	out := m.commands()
	for _, name := range screen.Names() {
		if !slices.ContainsFunc(out, func(c command) bool { return c.name == string(name) }) {
			out = append(out, command{name: string(name), aliases: screenAliases(name), help: "the screen " + string(name)})
		}
	}
	if m.cfg.Local {
		out = append(out, command{name: "ctx", aliases: []string{"context"}, help: "go over to other clusters"})
	}
	return out
}

// tableCommands are those that no screen is the name of.
func (m *model) tableCommands() []command {
	return []command{
		{name: "filter", args: "FILTER", help: "keep some rows, as after /", complete: m.completeHere, run: m.filterHere},
		{name: "sort", aliases: []string{"order"}, args: "COLUMN [desc]", help: "put the rows in order", complete: m.completeSort, run: m.sortBy},
		{name: "columns", aliases: []string{"cols"}, args: "[COLUMN,…]", help: "show these columns; none: those that are there unless one chooses", complete: m.completeColumns, run: m.showColumns},
		{name: "view", args: "NAME", help: "a table that is saved in the config file", complete: m.completeView, run: m.showView},
		{name: "copy", args: "[COLUMN]", help: "copy what the chosen rows are called, or hold in a column", complete: m.completeColumns, run: m.copyName},
		{name: "export", args: "FILE.csv|.json|.yaml", help: "write the rows that are shown to a file", run: func(args string) (tea.Cmd, error) { return m.export(args, false) }},
		{name: "export!", args: "FILE", help: "the same, over a file that is there", run: func(args string) (tea.Cmd, error) { return m.export(args, true) }},
		{name: "theme", args: "NAME", help: "change the colours", complete: m.completeTheme, run: func(args string) (tea.Cmd, error) { return nil, m.restyle(args) }},
		{name: "help", aliases: []string{"h"}, help: "all keys and commands", run: func(string) (tea.Cmd, error) { m.over = newHelp(m); return nil, nil }},
		{name: "messages", aliases: []string{"log"}, help: "what was done and what went wrong", run: func(string) (tea.Cmd, error) { m.over = newMessages(m); return nil, nil }},
		{name: "quit", aliases: []string{"q", "q!", "exit"}, help: "end stoker", run: func(string) (tea.Cmd, error) { return tea.Quit, nil }},
	}
}

// screenAliases are the words of those who come from nomad, k9s or kubectl.
func screenAliases(name screen.Name) []string {
	return map[screen.Name][]string{
		screen.Fleet: {"home", "pulse"}, screen.Nodes: {"no", "node", "client", "clients"}, screen.GPUs: {"gpu"},
		screen.Jobs: {"job", "jo"}, screen.Models: {"model", "mo"}, screen.Training: {"train"}, screen.Keys: {"key", "vault"},
		screen.Scenarios: {"scenario"}, screen.Events: {"event", "ev"}, screen.Usage: {"top"}, screen.Submit: {"run", "pack", "packs"},
		screen.Allocs: {"al", "alloc", "allocations", "po", "pod", "pods"}, screen.Deployments: {"dp", "deploy", "deployment"},
		screen.Evaluations: {"eval", "evals", "evaluation"}, screen.Services: {"svc", "service"}, screen.Pools: {"np", "pool"},
		screen.Namespaces: {"ns", "namespace"}, screen.Variables: {"var", "vars", "variable"},
	}[name]
}

func (m *model) screenHelp(s entry) string {
	if b, ok := m.env.Keys.Find(s.key, keys.Global); ok {
		return b.Help
	}
	if v, ok := facts.Find(string(s.name)); ok {
		return v.Help
	}
	return "the screen " + string(s.name)
}

// goTo opens a screen, with its rows filtered when that is asked for.
func (m *model) goTo(i int, args string) (tea.Cmd, error) {
	cmd := m.switchTo(i)
	if args == "" {
		return cmd, nil
	}
	_, err := m.filterHere(args)
	return cmd, err
}

func (m *model) filterHere(args string) (tea.Cmd, error) {
	if _, ok := m.filter(); !ok {
		return nil, fmt.Errorf("there is nothing to filter here")
	}
	return nil, m.setFilter(args)
}

// table is the active screen as one.
func (m *model) table() (screen.Tabular, error) {
	tab, ok := m.active().Screen.(screen.Tabular)
	switch {
	case !ok:
		return nil, fmt.Errorf("%s is no table", m.active().name)
	case m.layered() != nil:
		return nil, fmt.Errorf("that is for the list of %s; esc goes back to it", m.active().name)
	}
	return tab, nil
}

// layered is the active screen when something lies over its list, else nil.
func (m *model) layered() screen.Layered {
	if l, ok := m.active().Screen.(screen.Layered); ok && l.Covered() {
		return l
	}
	return nil
}

// columnsOf names columns as the table does: its own names, or those that
// filters know for them.
func (m *model) columnsOf(tab screen.Tabular, names []string) ([]string, error) {
	view := lists(m.active().Screen)
	var out []string
	for _, name := range names {
		if slices.ContainsFunc(tab.Columns(), func(c screen.TableColumn) bool { return c.Name == name }) || view == nil {
			out = append(out, name)
			continue
		}
		index, err := view.Choose([]string{name})
		if err != nil {
			return nil, err
		}
		out = append(out, view.Columns[index[0]].Name)
	}
	return out, nil
}

func (m *model) sortBy(args string) (tea.Cmd, error) {
	tab, err := m.table()
	words := strings.Fields(args)
	switch {
	case err != nil:
		return nil, err
	case len(words) == 0:
		return nil, fmt.Errorf("by which column?")
	case len(words) > 2 || len(words) == 2 && words[1] != "desc" && words[1] != "asc":
		return nil, fmt.Errorf("behind the column stands desc, asc or nothing")
	}
	name, desc := strings.CutPrefix(words[0], "-")
	names, err := m.columnsOf(tab, []string{name})
	if err != nil {
		return nil, err
	}
	return nil, tab.OrderBy(names[0], desc || len(words) == 2 && words[1] == "desc")
}

func (m *model) showColumns(args string) (tea.Cmd, error) {
	tab, err := m.table()
	if err != nil {
		return nil, err
	}
	names, err := m.columnsOf(tab, strings.FieldsFunc(args, func(r rune) bool { return r == ',' || r == ' ' }))
	if err != nil {
		return nil, err
	}
	return nil, tab.ShowColumns(names)
}

// lists is of which view the rows of a screen are; nil when nobody knows.
func lists(s screen.Screen) *facts.View {
	if f, ok := s.(screen.Factual); ok {
		return f.Lists()
	}
	return nil
}

// fewValues is up to how many values a column has for them to be listed.
const fewValues = 24

// completeFilter completes a filter of a screen's rows.
func (m *model) completeFilter(s entry, head string) facts.Completion {
	view := lists(s.Screen)
	if view == nil {
		return facts.Completion{}
	}
	return view.Complete(head, func(column int) []string { return view.Values(m.snap, column, fewValues) })
}

func (m *model) completeHere(head string) facts.Completion {
	return m.completeFilter(m.active(), head)
}

// lastWord is where the last word of a text begins, in characters, and the word.
func lastWord(head, ends string) (from int, word string) {
	at := strings.LastIndexAny(head, ends) + 1
	return len([]rune(head[:at])), head[at:]
}

func (m *model) completeColumns(head string) facts.Completion {
	from, word := lastWord(head, ", ")
	return facts.Completion{From: from, Options: beginning(m.columnNames(), word)}
}

func (m *model) completeSort(head string) facts.Completion {
	from, word := lastWord(head, " -")
	if strings.Contains(strings.TrimLeft(head, " "), " ") {
		return facts.Completion{From: from, Options: beginning([]string{"desc", "asc"}, word)}
	}
	return facts.Completion{From: from, Options: beginning(m.columnNames(), word)}
}

func (m *model) completeTheme(head string) facts.Completion {
	return facts.Completion{Options: beginning(themeNames(m.user), head)}
}

func (m *model) completeView(head string) facts.Completion {
	return facts.Completion{Options: beginning(slices.Sorted(maps.Keys(m.user.Views)), head)}
}

// columnNames are those of the active table: those shown, then the rest.
func (m *model) columnNames() []string {
	tab, err := m.table()
	if err != nil {
		return nil
	}
	var out []string
	for _, c := range tab.Columns() {
		out = append(out, c.Name)
	}
	return out
}

func beginning(words []string, with string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == with || !strings.HasPrefix(w, with) })
}

// resolve finds the command of a line and what follows its name: an alias of the
// user's, a name or another name of a command, or the beginning of one as long as
// that is clear.
func (m *model) resolve(text string) (c command, args string, err error) {
	name, args, _ := strings.Cut(strings.TrimSpace(text), " ")
	if line, ok := m.user.Aliases[name]; ok {
		text = strings.TrimPrefix(line, ":") + " " + args
	}
	return resolve(m.commands(), text)
}

func resolve(all []command, text string) (c command, args string, err error) {
	name, args, _ := strings.Cut(strings.TrimSpace(text), " ")
	args = strings.TrimSpace(args)
	var found []command
	for _, c := range all {
		if c.name == name || slices.Contains(c.aliases, name) {
			return c, args, nil
		}
		if strings.HasPrefix(c.name, name) {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 0:
		return command{}, "", fmt.Errorf("there is no command :%s; tab completes, :help lists them", name)
	case 1:
		return found[0], args, nil
	}
	var names []string
	for _, c := range found {
		names = append(names, c.name)
	}
	return command{}, "", fmt.Errorf(":%s could be %s", name, strings.Join(names, ", "))
}

// do runs a line of the command bar.
func (m *model) do(text string) (tea.Cmd, error) {
	c, args, err := m.resolve(text)
	if err != nil {
		return nil, err
	}
	return c.run(args)
}
