package systemd

import (
	"os"
	"testing"

	"roost/cmd/roost/internal/roosttest"
)

func TestMain(m *testing.M) { os.Exit(roosttest.Main(m)) }
