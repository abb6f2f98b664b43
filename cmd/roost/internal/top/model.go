package top

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"roost/httpapi"
)

// Ask asks the server, with the history after a moment in Unix seconds.
type Ask func(ctx context.Context, since int64) (*httpapi.Overview, error)

// model is the view as the library runs it. Its methods are called on one goroutine; commands run on others and touch nothing of
// it.
type model struct {
	ctx    context.Context
	ask    Ask
	every  time.Duration
	state  state
	look   look
	paused bool
	asking bool // a question is under way
}

// The messages.
type (
	answerMsg struct {
		overview *httpapi.Overview
		err      error
		at       time.Time
	}
	tickMsg struct{}
)

// Init asks at once.
func (m *model) Init() tea.Cmd {
	m.asking = true
	return tea.Batch(m.question(), m.tick())
}

func (m *model) tick() tea.Cmd {
	return tea.Tick(m.every, func(time.Time) tea.Msg { return tickMsg{} })
}

// question asks the server, on a goroutine of its own.
func (m *model) question() tea.Cmd {
	since := m.state.since()
	return func() tea.Msg {
		o, err := m.ask(m.ctx, since)
		return answerMsg{o, err, time.Now()}
	}
}

// Update takes over what happened.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.look.width, m.look.height = msg.Width, msg.Height
	case answerMsg:
		m.asking = false
		if msg.err != nil {
			m.state.fail(msg.err)
			break
		}
		m.state.answer(msg.overview, msg.at)
	case tickMsg:
		if m.paused || m.asking { // a server that does not answer is not asked twice
			return m, m.tick()
		}
		m.asking = true
		return m, tea.Batch(m.question(), m.tick())
	case tea.KeyPressMsg:
		return m.key(msg)
	}
	return m, nil
}

func (m *model) key(msg tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	switch msg.String() {
	case "q", "esc", "ctrl+c", "ctrl+d":
		return m, tea.Quit
	case "ctrl+z":
		return m, tea.Suspend
	case "p", "space":
		m.paused = !m.paused
	case "+", "=":
		m.every = max(m.every/2, leastEvery)
	case "-":
		m.every = min(m.every*2, mostEvery)
	}
	return m, nil
}

// View is the screen.
func (m *model) View() tea.View {
	text := ""
	for i, line := range m.look.screen(&m.state, m.footer()) {
		if i > 0 {
			text += "\n"
		}
		text += line
	}
	view := tea.NewView(text)
	view.AltScreen = true
	return view
}

// footer names the keys.
func (m *model) footer() string {
	text := "q quit  p pause  + faster  - slower   every " + m.every.String()
	if m.paused {
		text = "PAUSED   q quit  p go on"
	}
	return text
}
