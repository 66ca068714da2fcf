package identity

import (
	"net/netip"
	"strings"
)

// Trust says which peers may state on whose behalf they call (runtime-api.md 6.1).
type Trust struct {
	Proxies []netip.Prefix
	All     bool // every peer and every hop is trusted
}

func (t Trust) trusts(a netip.Addr) bool {
	if t.All {
		return true
	}
	for _, p := range t.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Source is the address that a request comes from (E29, without remoteIp): the peer, or, when the peer is trusted, the
// first untrusted hop of the X-Forwarded-For headers walked from the right, the left-most one when all are trusted. An
// entry that is no bare address ends the walk at the hop before it.
func Source(peer netip.Addr, forwarded []string, t Trust) netip.Addr {
	source := peer.Unmap()
	for i := len(forwarded) - 1; i >= 0; i-- {
		rest, more := forwarded[i], true
		for more {
			if !t.trusts(source) {
				return source
			}
			var entry string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, entry = rest[:comma], rest[comma+1:]
			} else {
				entry, more = rest, false
			}
			hop, ok := ParseAddress(strings.Trim(entry, " \t"))
			if !ok {
				return source
			}
			source = hop
		}
	}
	return source
}

// ParseAddress reads a bare IPv4 or IPv6 address, without port or zone; IPv4-mapped IPv6 becomes IPv4.
func ParseAddress(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}
