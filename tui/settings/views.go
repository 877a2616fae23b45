package settings

import (
	"errors"
	"fmt"
	"strings"

	"stoker/cluster/contexts"
	"stoker/cluster/facts"
)

// CheckView says what is wrong with a saved view.
func CheckView(ui contexts.UI, name string) error {
	view := ui.Views[name]
	if view.Screen == "" {
		return ui.Fault(errors.New("it does not say which screen"), "views", name)
	}
	rows, ok := facts.Find(view.Screen)
	if !ok {
		return ui.Fault(fmt.Errorf("there are no %s to show", view.Screen), "views", name, "screen")
	}
	if _, err := facts.CompileFilter(view.Filter, rows); err != nil {
		var wrong *facts.FilterError
		if errors.As(err, &wrong) {
			err = wrong.Err
		}
		return ui.Fault(err, "views", name, "filter")
	}
	if _, err := rows.Choose(view.Columns); err != nil {
		return ui.Fault(err, "views", name, "columns")
	}
	if view.Order != "" {
		if _, err := rows.Orders(strings.Split(view.Order, ",")); err != nil {
			return ui.Fault(err, "views", name, "order")
		}
	}
	return nil
}
