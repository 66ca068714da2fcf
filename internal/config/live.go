package config

import "time"

// Live bounds what tells applications of changed access: the watches and the changes of User Access Token lists.
type Live struct {
	// MaxStreams is how many watches may be open at once, MaxStreamsPerScope how many of one scope.
	MaxStreams         int `koanf:"max_streams" yaml:"max_streams"`
	MaxStreamsPerScope int `koanf:"max_streams_per_scope" yaml:"max_streams_per_scope"`
	// Heartbeat is after how long without news a watch sends a comment.
	Heartbeat time.Duration `koanf:"heartbeat" yaml:"heartbeat"`
	// PastRevisions, PastAge and PastBytes bound what is kept of each environment's past, whichever is met first.
	PastRevisions int           `koanf:"past_revisions" yaml:"past_revisions"`
	PastAge       time.Duration `koanf:"past_age" yaml:"past_age"`
	PastBytes     int           `koanf:"past_bytes" yaml:"past_bytes"`
}

func defaultLive() Live {
	return Live{
		MaxStreams: 5000, MaxStreamsPerScope: 2000, Heartbeat: 15 * time.Second,
		PastRevisions: 1000, PastAge: 10 * time.Minute, PastBytes: 64 << 20,
	}
}

// tooSmall names the numbers that are below 1; durations count in seconds.
func (l *Live) tooSmall() []string {
	var out []string
	for key, n := range map[string]int{
		"max_streams": l.MaxStreams, "max_streams_per_scope": l.MaxStreamsPerScope, "heartbeat": int(l.Heartbeat.Seconds()),
		"past_revisions": l.PastRevisions, "past_age": int(l.PastAge.Seconds()), "past_bytes": l.PastBytes,
	} {
		if n < 1 {
			out = append(out, key)
		}
	}
	return out
}
