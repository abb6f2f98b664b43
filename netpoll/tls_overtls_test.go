package netpoll

import "testing"

// TestOverTLS runs the tests of plain connections once more over TLS: with the record layer of TLS 1.3, and with crypto/tls
// for 1.2. Left out are those that count the bytes of the wire, that hold the workers, or that expect an answer where a TLS
// handshake is refused (tls_handshake_test.go has these), and some that take seconds.
func TestOverTLS(t *testing.T) {
	for _, version := range []string{"1.3", "1.2"} {
		if testing.Short() && version == "1.2" {
			continue
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			for name, test := range tlsTests() {
				if version == "1.3" || test.over12 {
					t.Run(name, test.run)
				}
			}
		})
	}
}

// tlsTest is a test of plain connections that runs over TLS 1.3, and over 1.2 too where that has nothing of its own in the way.
type tlsTest struct {
	run    func(*testing.T)
	over12 bool
}

func tlsTests() map[string]tlsTest {
	return map[string]tlsTest{
		"TestHandoverKeepsConnections":                     {TestHandoverKeepsConnections, false},
		"TestHandoverOfFullQueues":                         {TestHandoverOfFullQueues, false},
		"TestHandoverInTheMiddleOfAMessage":                {TestHandoverInTheMiddleOfAMessage, false},
		"TestHandoverAbort":                                {TestHandoverAbort, false},
		"TestHandoverOfWhatChangesMeanwhile":               {TestHandoverOfWhatChangesMeanwhile, false},
		"TestHandoverOfHandshakes":                         {TestHandoverOfHandshakes, false},
		"TestEventStreamGetsWhatWebSocketsGet":             {TestEventStreamGetsWhatWebSocketsGet, true},
		"TestEventStreamOfGroupsAndEveryone":               {TestEventStreamOfGroupsAndEveryone, true},
		"TestEventStreamRequests":                          {TestEventStreamRequests, true},
		"TestEventStreamsOff":                              {TestEventStreamsOff, true},
		"TestEventStreamRefusedForNow":                     {TestEventStreamRefusedForNow, true},
		"TestEventStreamEnds":                              {TestEventStreamEnds, true},
		"TestEventStreamOfSlowReader":                      {TestEventStreamOfSlowReader, true},
		"TestEventStreamHalfOpen":                          {TestEventStreamHalfOpen, true},
		"TestEventStreamClientThatTalks":                   {TestEventStreamClientThatTalks, true},
		"TestConnectionsAreSharedOut":                      {TestConnectionsAreSharedOut, true},
		"TestAcceptedSocketsInheritOptions":                {TestAcceptedSocketsInheritOptions, true},
		"TestTokensOfKeyPairs":                             {TestTokensOfKeyPairs, true},
		"TestTooManyFramesBeforeTheAnswer":                 {TestTooManyFramesBeforeTheAnswer, true},
		"TestDeadlineWhileATokenIsChecked":                 {TestDeadlineWhileATokenIsChecked, true},
		"TestShutdownWhileATokenIsChecked":                 {TestShutdownWhileATokenIsChecked, true},
		"TestDeliveriesPassManyTasks":                      {TestDeliveriesPassManyTasks, false},
		"TestDisconnectKeepsTheOrder":                      {TestDisconnectKeepsTheOrder, true},
		"TestDisconnectOfAClosedConnection":                {TestDisconnectOfAClosedConnection, true},
		"TestReplacedConnectionGetsWhatWasDelivered":       {TestReplacedConnectionGetsWhatWasDelivered, true},
		"TestReplacingNeedsNoRoom":                         {TestReplacingNeedsNoRoom, true},
		"TestReplacingFromAnotherAddress":                  {TestReplacingFromAnotherAddress, true},
		"TestBothCloseFramesAreExchanged":                  {TestBothCloseFramesAreExchanged, true},
		"TestCloseFrameThatIsNotAnswered":                  {TestCloseFrameThatIsNotAnswered, true},
		"TestRejectsTheKnowingAfterTheUpgrade":             {TestRejectsTheKnowingAfterTheUpgrade, false},
		"TestLingeringSocketsAreBounded":                   {TestLingeringSocketsAreBounded, true},
		"TestCloseIsAnsweredAndThenTheServerCloses":        {TestCloseIsAnsweredAndThenTheServerCloses, true},
		"TestViolationsAreAnswered":                        {TestViolationsAreAnswered, true},
		"TestPingsAreAnsweredHoweverTheyAreSplit":          {TestPingsAreAnsweredHoweverTheyAreSplit, true},
		"TestPingFloodWithoutReading":                      {TestPingFloodWithoutReading, true},
		"TestSilentClientsAreEndedAndLivelyOnesStay":       {TestSilentClientsAreEndedAndLivelyOnesStay, false},
		"TestRefusalsArriveWhileTheClientSends":            {TestRefusalsArriveWhileTheClientSends, true},
		"TestHandshakeDeadlineHoldsHoweverSlowlyBytesCome": {TestHandshakeDeadlineHoldsHoweverSlowlyBytesCome, false},
		"TestShutdownSendsWhatWaitsAndThenGoodbye":         {TestShutdownSendsWhatWaitsAndThenGoodbye, true},
		"TestShutdownDeliversTheBacklog":                   {TestShutdownDeliversTheBacklog, true},
		"TestRequestsUnderWayAtShutdownAreAnswered":        {TestRequestsUnderWayAtShutdownAreAnswered, true},
		"TestSlowReaderIsPingedAndStays":                   {TestSlowReaderIsPingedAndStays, false},
		"TestPauseOfTheServerEndsNobody":                   {TestPauseOfTheServerEndsNobody, false},
		"TestPanicEndsOneConnection":                       {TestPanicEndsOneConnection, true},
		"TestSocketLimit":                                  {TestSocketLimit, true},
		"TestBudget":                                       {TestBudget, true},
		"TestSetRulesUpgrader":                             {TestSetRulesUpgrader, true},
		"TestSetRulesQueueTotal":                           {TestSetRulesQueueTotal, true},
		"TestLineLimitChanges":                             {TestLineLimitChanges, true},
		"TestFlushWritesForALoopThatSleeps":                {TestFlushWritesForALoopThatSleeps, true},
		"TestManyDeliveriesWakeTheLoop":                    {TestManyDeliveriesWakeTheLoop, true},
		"TestFlushWakesManyLoops":                          {TestFlushWakesManyLoops, true},
		"TestFlushLeavesALoopAtWorkToItself":               {TestFlushLeavesALoopAtWorkToItself, true},
		"TestStallDuringFlushWakesTheLoop":                 {TestStallDuringFlushWakesTheLoop, true},
		"TestDeliveringThroughShutdown":                    {TestDeliveringThroughShutdown, false},
		"TestDeliveryToConnectionsOnEveryLoop":             {TestDeliveryToConnectionsOnEveryLoop, true},
		"TestWhoHasTheAnswerIsRegistered":                  {TestWhoHasTheAnswerIsRegistered, false},
		"TestABurstLeavesInFewWrites":                      {TestABurstLeavesInFewWrites, true},
		"TestSlowConsumer":                                 {TestSlowConsumer, true},
		"TestWriteWaitEndsAClientThatTakesNothing":         {TestWriteWaitEndsAClientThatTakesNothing, false},
		"TestWaitForLoopsIsHeldUpByALoop":                  {TestWaitForLoopsIsHeldUpByALoop, true},
		"TestWaitForLoopsDuringShutdown":                   {TestWaitForLoopsDuringShutdown, true},
		"TestWaitForLoopsAfterShutdown":                    {TestWaitForLoopsAfterShutdown, true},
		"TestFlushFromTwoSides":                            {TestFlushFromTwoSides, true},
		"TestAcceptQueueIsEmptiedBeforeThePortCloses":      {TestAcceptQueueIsEmptiedBeforeThePortCloses, false},
		"TestPortIsGivenUpBeforeItIsOpen":                  {TestPortIsGivenUpBeforeItIsOpen, true},
		"TestLastToBeAcceptedMayAsk":                       {TestLastToBeAcceptedMayAsk, true},
		"TestDepart":                                       {TestDepart, false},
		"TestDepartOfNobody":                               {TestDepartOfNobody, true},
		"TestAgesDiffer":                                   {TestAgesDiffer, true},
		"TestSilentSocketsKeepNobodyOut":                   {TestSilentSocketsKeepNobodyOut, true},
		"TestLingeringSocketsMakeRoom":                     {TestLingeringSocketsMakeRoom, false},
		"TestSlowEndingsMakeRoom":                          {TestSlowEndingsMakeRoom, false},
		"TestPendingBytesAreBounded":                       {TestPendingBytesAreBounded, false},
		"TestPendingBytesAreCounted":                       {TestPendingBytesAreCounted, false},
		"TestHandshakesThatWaitMakeRoom":                   {TestHandshakesThatWaitMakeRoom, true},
		"TestGapNoticeAfterDrops":                          {TestGapNoticeAfterDrops, true},
		"TestGapNoticeToAll":                               {TestGapNoticeToAll, false},
		"TestMissedIsTold":                                 {TestMissedIsTold, true},
		"TestNoGapNoticeUnlessAskedFor":                    {TestNoGapNoticeUnlessAskedFor, true},
		"TestGapNoticeOnceASecond":                         {TestGapNoticeOnceASecond, true},
		"TestGapRoundGoesInSteps":                          {TestGapRoundGoesInSteps, true},
		"TestGapsAreToldFromTheEarliest":                   {TestGapsAreToldFromTheEarliest, true},
		"TestGapNoticesMerge":                              {TestGapNoticesMerge, true},
		"TestGapRoundIsNotReplaced":                        {TestGapRoundIsNotReplaced, true},
		"TestLateIsTold":                                   {TestLateIsTold, true},
		"TestGapToOneUser":                                 {TestGapToOneUser, true},
		"TestGapOfOneUserIsNotToldUnlessAskedFor":          {TestGapOfOneUserIsNotToldUnlessAskedFor, true},
		"TestTracesTellWhatBecame":                         {TestTracesTellWhatBecame, true},
		"TestTraceOfAPartialFrame":                         {TestTraceOfAPartialFrame, true},
		"TestDescribe":                                     {TestDescribe, true},
		"TestDescribeGivesUp":                              {TestDescribeGivesUp, true},
		"TestNoLineIsLeftOutWithoutALimit":                 {TestNoLineIsLeftOutWithoutALimit, true},
		"TestMessageRate":                                  {TestMessageRate, true},
		"TestMessageRateCountsEach":                        {TestMessageRateCountsEach, true},
		"TestMessageRateCountsFragments":                   {TestMessageRateCountsFragments, true},
		"TestMessageRateCountsNoReads":                     {TestMessageRateCountsNoReads, true},
		"TestAnswerInPiecesIsFree":                         {TestAnswerInPiecesIsFree, true},
		"TestUnfinishedIsEnded":                            {TestUnfinishedIsEnded, true},
		"TestUnfinishedIsScheduled":                        {TestUnfinishedIsScheduled, true},
		"TestUserLimitRefuses":                             {TestUserLimitRefuses, true},
		"TestUserLimitReplaces":                            {TestUserLimitReplaces, true},
		"TestRejectAfterUpgrade":                           {TestRejectAfterUpgrade, true},
		"TestBurstToClientsThatRead":                       {TestBurstToClientsThatRead, true},
		"TestBurstToFarClients":                            {TestBurstToFarClients, true},
		"TestLossClosesWhereItShall":                       {TestLossClosesWhereItShall, true},
		"TestQueuesOfAllConnectionsAreBounded":             {TestQueuesOfAllConnectionsAreBounded, true},
		"TestManyMayWaitForASecond":                        {TestManyMayWaitForASecond, true},
		"TestBytesThatWaitAreBounded":                      {TestBytesThatWaitAreBounded, true},
		"TestNothingIsLostBeforeAWriteWasTried":            {TestNothingIsLostBeforeAWriteWasTried, true},
		"TestABatchIsWrittenInItsMiddle":                   {TestABatchIsWrittenInItsMiddle, true},
		"TestTheFullestPays":                               {TestTheFullestPays, true},
		"TestTheIdlePayFirst":                              {TestTheIdlePayFirst, true},
		"TestTheFullestOfAnotherLoopPays":                  {TestTheFullestOfAnotherLoopPays, true},
		"TestStatsWhileEveryLoopIsHeld":                    {TestStatsWhileEveryLoopIsHeld, true},
		"TestBoundsAscend":                                 {TestBoundsAscend, true},
		"TestHandshakeWaitsForSubscription":                {TestHandshakeWaitsForSubscription, true},
		"TestSubscribedAlready":                            {TestSubscribedAlready, true},
		"TestTooManyFramesBeforeUserIsHeard":               {TestTooManyFramesBeforeUserIsHeard, true},
		"TestClientGoesBeforeUserIsHeard":                  {TestClientGoesBeforeUserIsHeard, true},
		"TestSubscribedBeforeAcquireReturnsAndTwice":       {TestSubscribedBeforeAcquireReturnsAndTwice, true},
		"TestFullWhileWaiting":                             {TestFullWhileWaiting, true},
		"TestShutdownWhileWaiting":                         {TestShutdownWhileWaiting, true},
		"TestHeardWhileDraining":                           {TestHeardWhileDraining, true},
		"TestCheckedThenAwaited":                           {TestCheckedThenAwaited, true},
		"TestProbeAcquires":                                {TestProbeAcquires, true},
		"TestPanicWhileAcquiring":                          {TestPanicWhileAcquiring, true},
		"TestSubscribeWaitIsKept":                          {TestSubscribeWaitIsKept, true},
		"TestPanicAfterWaiting":                            {TestPanicAfterWaiting, true},
		"TestEveryAcquireIsReleased":                       {TestEveryAcquireIsReleased, true},
		"TestAnswers":                                      {TestAnswers, true},
		"TestNobodyAnswersAfterShutdown":                   {TestNobodyAnswersAfterShutdown, true},
		"TestTextPing":                                     {TestTextPing, true},
		"TestTextPingFloodWithoutReading":                  {TestTextPingFloodWithoutReading, true},
		"TestTextPingWhileStalled":                         {TestTextPingWhileStalled, true},
		"TestWhatIsLostOnTheWayIsCounted":                  {TestWhatIsLostOnTheWayIsCounted, false},
	}
}
