//go:build peer

// Package peer pins InfluxDB 2: the real server behind the remote engine's tests.
package peer

import _ "github.com/influxdata/influxdb/v2/cmd/influxd"
