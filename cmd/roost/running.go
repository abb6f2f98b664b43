package main

import "roost/httpapi"

// variables is httpapi's Config.Variables: what this server runs with, and where each value is from.
func (s *service) variables() []httpapi.Variable {
	now := s.current.Load()
	waiting := make(map[string]bool)
	for _, change := range now.cfg.Changes(now.read) {
		waiting[change.Name] = true
	}
	var all []httpapi.Variable
	for _, row := range now.cfg.Describe() {
		all = append(all, httpapi.Variable{
			Name: row.Name, Value: row.Current, Default: row.Default, From: now.source.From(row.Name, row.Set),
			Reload: row.Reload, NeedsRestart: waiting[row.Name],
		})
	}
	return all
}
