//go:build linux

// Package handover carries a handover from the process that serves (the old one) to the one that replaces it (the new one): a
// socket pair, messages with descriptors, and the two phases. It does not know what is handed over: the packages of the service
// write sections, and read them in the new process.
//
// The order of messages, o for the old process and n for the new one:
//
//	n hello    who it is, what it can take, and an end of a socket pair that only these two processes have
//	o offer    or drain, or refuse, with the reason
//	n accept   or refuse
//	o …        sections, with descriptors; n ack for those with descriptors
//	o final    how many sections and descriptors there were
//	n ready    or refuse
//	o commit   from here on the new process serves
//	o …        late sections, and end
//
// Until commit the old process can take everything back by closing the socket, and the new process by [New.Close]. Whether commit was
// sent is never in doubt: only the old process sends it, and a new process that gives up first makes sending fail, and then looks
// whether it has come already.
//
// An Old and a New are for one goroutine each; Fail and Close are for any.
package handover
