package identity

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

var trusted = Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}

// RT-54, RT-55, RT-56, E29, README ruling 1.
func TestSource(t *testing.T) {
	all := Trust{All: true}
	tests := []struct {
		name, peer string
		forwarded  []string
		trust      Trust
		want       string
	}{
		{"no header", "10.0.0.1", nil, trusted, "10.0.0.1"},
		{"untrusted peer", "203.0.113.1", []string{"198.51.100.9"}, trusted, "203.0.113.1"},
		{"trusted peer", "10.0.0.1", []string{"198.51.100.9"}, trusted, "198.51.100.9"},
		{"forged left part", "10.0.0.1", []string{"1.1.1.1, 198.51.100.9"}, trusted, "198.51.100.9"},
		{"several headers", "10.0.0.1", []string{"1.1.1.1", "198.51.100.9", "10.1.1.1 ,fd00::1"}, trusted, "198.51.100.9"},
		{"all trusted", "10.0.0.1", []string{"10.0.0.3,10.0.0.2"}, trusted, "10.0.0.3"},
		{"unreadable ends the walk", "10.0.0.1", []string{"198.51.100.9, unknown, 10.0.0.2"}, trusted, "10.0.0.2"},
		{"unreadable at once", "10.0.0.1", []string{"198.51.100.9, "}, trusted, "10.0.0.1"},
		{"port", "10.0.0.1", []string{"198.51.100.9:80"}, trusted, "10.0.0.1"},
		{"zone", "10.0.0.1", []string{"fd00::1%eth0"}, trusted, "10.0.0.1"},
		{"empty header", "10.0.0.1", []string{""}, trusted, "10.0.0.1"},
		{"mapped", "::ffff:10.0.0.1", []string{"::ffff:198.51.100.9"}, trusted, "198.51.100.9"},
		{"trust all", "203.0.113.1", []string{"198.51.100.9, 1.1.1.1", "2.2.2.2"}, all, "198.51.100.9"},
		{"trust all, unreadable", "203.0.113.1", []string{"x, 1.1.1.1"}, all, "1.1.1.1"},
		{"trust all, no header", "203.0.113.1", nil, all, "203.0.113.1"},
	}
	for _, tt := range tests {
		if got := Source(netip.MustParseAddr(tt.peer), tt.forwarded, tt.trust); got.String() != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := Source(netip.Addr{}, []string{"1.1.1.1"}, trusted); got.IsValid() {
		t.Errorf("unknown peer: %s", got)
	}
}

// FuzzSource: whatever the header holds, the source is the peer or a bare address of the header, an untrusted peer is
// believed nothing, and every hop to the right of the source is trusted.
func FuzzSource(f *testing.F) {
	f.Add("10.0.0.1, 1.1.1.1", "2.2.2.2")
	f.Add("", ",,")
	f.Add("::ffff:10.0.0.1", "10.0.0.2,\t10.0.0.3 ")
	f.Add("[::1]:80", "fe80::1%1")
	f.Fuzz(func(t *testing.T, first, second string) {
		headers := []string{first, second}
		outside, proxy := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("10.0.0.1")
		if got := Source(outside, headers, trusted); got != outside {
			t.Fatalf("an untrusted peer was believed: %s", got)
		}
		got := Source(proxy, headers, trusted)
		want := proxy // the same walk, written as the specification words it
		hops := strings.Split(first+","+second, ",")
		for _, hop := range slices.Backward(hops) {
			a, err := netip.ParseAddr(strings.Trim(hop, " \t"))
			if !trusted.trusts(want) || err != nil || a.Zone() != "" {
				break
			}
			want = a.Unmap()
		}
		if got != want {
			t.Fatalf("%q: %s, want %s", hops, got, want)
		}
	})
}
