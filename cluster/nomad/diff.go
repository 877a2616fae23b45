package nomad

import (
	"fmt"

	"github.com/hashicorp/nomad/api"

	"stoker/cluster"
)

// diffLines flattens Nomad's difference into what nomad job plan prints:
// only what is added, deleted or edited.
func diffLines(d *api.JobDiff) []cluster.DiffLine {
	if d == nil || d.Type == "None" {
		return nil
	}
	w := &diffWriter{}
	w.line(d.Type, 0, fmt.Sprintf("job %q", d.ID))
	w.fields(d.Fields, 1)
	w.objects(d.Objects, 1)
	for _, tg := range d.TaskGroups {
		if tg.Type == "None" {
			continue
		}
		w.line(tg.Type, 1, fmt.Sprintf("group %q", tg.Name))
		w.fields(tg.Fields, 2)
		w.objects(tg.Objects, 2)
		for _, t := range tg.Tasks {
			if t.Type == "None" {
				continue
			}
			w.line(t.Type, 2, fmt.Sprintf("task %q", t.Name))
			w.fields(t.Fields, 3)
			w.objects(t.Objects, 3)
		}
	}
	return w.out
}

type diffWriter struct{ out []cluster.DiffLine }

func (w *diffWriter) line(kind string, indent int, text string) {
	mark := byte(' ')
	switch kind {
	case "Added":
		mark = '+'
	case "Deleted":
		mark = '-'
	case "Edited":
		mark = '~'
	}
	w.out = append(w.out, cluster.DiffLine{Mark: mark, Indent: indent, Text: text})
}

func (w *diffWriter) fields(fields []*api.FieldDiff, indent int) {
	for _, f := range fields {
		switch f.Type {
		case "Added":
			w.line(f.Type, indent, fmt.Sprintf("%s: %q", f.Name, f.New))
		case "Deleted":
			w.line(f.Type, indent, fmt.Sprintf("%s: %q", f.Name, f.Old))
		case "Edited":
			w.line(f.Type, indent, fmt.Sprintf("%s: %q → %q", f.Name, f.Old, f.New))
		}
	}
}

func (w *diffWriter) objects(objects []*api.ObjectDiff, indent int) {
	for _, o := range objects {
		if o.Type == "None" {
			continue
		}
		w.line(o.Type, indent, o.Name)
		w.fields(o.Fields, indent+1)
		w.objects(o.Objects, indent+1)
	}
}
