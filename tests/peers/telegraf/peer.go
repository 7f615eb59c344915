//go:build peer

// Package peer pins Telegraf: what a user would write to Townwatch with.
package peer

import _ "github.com/influxdata/telegraf/cmd/telegraf"
