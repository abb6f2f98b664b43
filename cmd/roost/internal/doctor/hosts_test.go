package doctor

import (
	"io/fs"
	"maps"
	"testing/fstest"
)

// files are those of a host, by name. One whose content is unreadable can't be read.
type files map[string]string

const unreadable = "\x00"

// with changes some; an empty content takes the file away.
func (f files) with(change files) files {
	f = maps.Clone(f)
	for name, content := range change {
		if f[name] = content; content == "" {
			delete(f, name)
		}
	}
	return f
}

func (f files) fs() fs.FS {
	host := fstest.MapFS{}
	for name, content := range f {
		host[name] = &fstest.MapFile{Data: []byte(content)}
		if content == unreadable {
			host[name].Mode = fs.ModeDir
		}
	}
	return host
}

// limitsFile is proc/self/limits, shortened.
func limitsFile(soft, hard string) string {
	return "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max processes             96365                96365                processes \n" +
		"Max open files            " + soft + "               " + hard + "              files     \n"
}

// bareMetal is a big machine, set up for a million connections.
func bareMetal() files {
	return files{
		"proc/self/limits": limitsFile("2097152", "2097152"),
		"proc/self/cgroup": "0::/system.slice/roost.service\n",
		"proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" +
			"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
		"proc/meminfo":                                  "MemTotal:       131072000 kB\nMemFree:  1 kB\nMemAvailable:   125829120 kB\n",
		"proc/sys/fs/nr_open":                           "1073741816\n",
		"proc/sys/fs/file-max":                          "9223372036854775807\n",
		"proc/sys/fs/file-nr":                           "5120\t0\t9223372036854775807\n",
		"proc/sys/fs/epoll/max_user_watches":            "29000000\n",
		"proc/sys/net/core/somaxconn":                   "65535\n",
		"proc/sys/net/ipv4/tcp_max_syn_backlog":         "65536\n",
		"proc/sys/net/ipv4/tcp_syncookies":              "1\n",
		"proc/sys/net/ipv4/ip_local_port_range":         "10240\t65535\n",
		"proc/sys/net/ipv4/ip_local_reserved_ports":     "\n",
		"proc/sys/net/ipv4/tcp_mem":                     "1500000\t2000000\t3000000\n",
		"proc/sys/net/ipv4/tcp_rmem":                    "4096\t131072\t6291456\n",
		"proc/sys/net/ipv4/tcp_wmem":                    "4096\t16384\t4194304\n",
		"sys/fs/cgroup/system.slice/memory.max":         "max\n",
		"proc/sys/net/netfilter/nf_conntrack_max":       "4194304\n",
		"sys/fs/cgroup/system.slice/roost.service/a.it": "\n",
	}
}

// smallVM is one with 1 GiB and what a distribution has set.
func smallVM() files {
	return bareMetal().with(files{
		"proc/self/limits":                        limitsFile("1024", "4096"),
		"proc/meminfo":                            "MemTotal:        1015000 kB\nMemAvailable:    614400 kB\n",
		"proc/sys/fs/nr_open":                     "65536\n",
		"proc/sys/fs/file-max":                    "98000\n",
		"proc/sys/fs/file-nr":                     "1000\t0\t98000\n",
		"proc/sys/fs/epoll/max_user_watches":      "90000\n",
		"proc/sys/net/core/somaxconn":             "128\n",
		"proc/sys/net/ipv4/tcp_wmem":              "4096\t16384\t262144\n",
		"proc/sys/net/ipv4/tcp_max_syn_backlog":   "128\n",
		"proc/sys/net/ipv4/tcp_syncookies":        "0\n",
		"proc/sys/net/ipv4/ip_local_port_range":   "32768\t60999\n",
		"proc/sys/net/ipv4/tcp_mem":               "10000\t13000\t20000\n",
		"proc/sys/net/netfilter/nf_conntrack_max": "8192\n",
	})
}

// container is one on the big machine, with 256 MiB, and control groups of version 2.
func container() files {
	return bareMetal().with(files{
		"proc/self/limits":                        limitsFile("1048576", "1048576"),
		"proc/self/cgroup":                        "0::/\n",
		"sys/fs/cgroup/memory.max":                "268435456\n",
		"sys/fs/cgroup/memory.high":               "max\n",
		"proc/sys/net/netfilter/nf_conntrack_max": "",
	})
}

// oldContainer is the same with version 1.
func oldContainer() files {
	return container().with(files{
		"proc/self/cgroup":                           "3:memory:/docker/abc\n",
		"proc/self/mountinfo":                        "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
		"sys/fs/cgroup/memory.max":                   "",
		"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
	})
}

// closed is a host on which hardly anything can be read.
func closed() files {
	f := bareMetal()
	for name := range f {
		f[name] = unreadable
	}
	return f
}
